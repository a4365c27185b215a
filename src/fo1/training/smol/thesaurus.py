"""`Thesaurus`: how the words training asks with hang together. Held-out words never pass through it."""

from __future__ import annotations

from functools import lru_cache

from fo1.training.smol import names


class Thesaurus:
    """Which label fits which thing, and which may be denied. Remembers its answers: training asks often."""

    def __init__(self) -> None:
        self.conflicts = lru_cache(maxsize=2**20)(names.conflicts)
        self.wider = lru_cache(maxsize=None)(self._wider)
        self.siblings = lru_cache(maxsize=None)(self._siblings)
        self.matches = lru_cache(maxsize=2**18)(self._matches)

    @staticmethod
    def _wider(name: str) -> tuple[str, ...]:
        """Synonyms and broader words of a name."""
        words = (*names.synonyms(name), *names.hypernyms(name))
        return tuple(word for word in dict.fromkeys(words) if not names.held_out(word))

    @staticmethod
    def _siblings(name: str) -> tuple[str, ...]:
        """Names of the same category that do not fit: the hard negatives."""
        return tuple(word for word in names.siblings(name) if not names.held_out(word))

    def _matches(self, label: str, name: str) -> bool:
        """May a thing of this name be called by the label?"""
        return label == name or label in self.wider(name)

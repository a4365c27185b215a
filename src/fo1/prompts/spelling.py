"""`Spelling`: tags and region names that a text could write in letters instead of as tokens."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from fo1.prompts.parsing import TAG

# From its last `<` on, a text that may still become a tag; more than can, which only costs a look-up.
_BEGUN = re.compile(r"<[\s/]*[a-z]*[0-9]*\s*$")


class Spelling:
    """Knows which tokens would complete a tag that was begun in letters; they read as tags, but are none.

    meant: ids of the tokens that are tags and region names, in all of a vocabulary.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, meant: Collection[int]) -> None:
        self.tokenizer = tokenizer
        marked = [
            i for word, i in tokenizer.get_vocab().items() if i not in meant and ("<" in word or ">" in word)
        ]
        texts = {i: str(tokenizer.decode([i])) for i in marked}
        self._openers = {i for i, text in texts.items() if "<" in text}
        self._closers = {i: text for i, text in texts.items() if ">" in text}
        self._completing = lru_cache(maxsize=256)(self._completing_text)

    def begun(self, before: tuple[int, ...], token: int) -> tuple[int, ...]:
        """The last tokens of a text, if a tag may begin there. before: the same, until `token` came."""
        if token in self._openers:
            tail: tuple[int, ...] = (token,)
        elif before:
            tail = (*before, token)
        else:
            return ()
        return tail if _BEGUN.search(self._text(tail)) else ()

    def completing(self, begun: tuple[int, ...]) -> tuple[int, ...]:
        """Tokens that would make a tag of what was begun, or are one by themselves."""
        return self._completing(self._text(begun))

    def _completing_text(self, text: str) -> tuple[int, ...]:
        return tuple(token for token, more in self._closers.items() if TAG.search(text + more))

    def _text(self, ids: tuple[int, ...]) -> str:
        text = str(self.tokenizer.decode(list(ids))) if ids else ""
        return text[max(text.rfind("<"), 0) :]

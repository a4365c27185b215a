"""`View`: which of a user's regions one prompt shows, when there are more than the model has names for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fo1.errors import PromptError
from fo1.model import Encoded
from fo1.prompts.parsing import renumbered


@dataclass(frozen=True)
class View:
    """Region `rows[i]` as the user counts is `<regioni>` in the prompt. rows: ascending.

    total: how many regions the user has.
    """

    rows: tuple[int, ...]
    total: int

    @classmethod
    def best(cls, scores: ArrayLike, capacity: int, named: Iterable[int] = ()) -> View:
        """As many as fit: those named, then the best by score (N,).

        Raises `PromptError` if more are named than fit.
        """
        values = np.asarray(scores)
        first = _named(named, len(values), capacity)
        order = np.argsort(-values, kind="stable").tolist()
        chosen = list(dict.fromkeys([*first, *order]))[:capacity]
        return cls(tuple(sorted(chosen)), len(values))

    @property
    def complete(self) -> bool:
        """Does it show all there is?"""
        return len(self.rows) == self.total

    def of(self, encoded: Encoded) -> Encoded:
        """The image with these regions only."""
        return encoded if self.complete else encoded.take(self.rows)

    def inward(self, text: str, known: int | None = None) -> str:
        """A user's text in the prompt's numbers; numbers of no region stay, and are none there either.

        known: how many regions the user has seen when they say it; None for all.
        """
        seen = self.total if known is None else known
        places = {row: place for place, row in enumerate(self.rows) if row < seen}
        return renumbered(text, lambda number: places.get(number, number))

    def outward(self, text: str) -> str:
        """An answer in the user's numbers. What names no region here becomes what names none there."""
        if self.complete:
            return text
        rows = self.rows
        return renumbered(text, lambda n: rows[n] if n < len(rows) else self.total + n)


def views(total: int, capacity: int, named: Iterable[int] = ()) -> list[View]:
    """All regions in parts that fit, in order; one empty part if there are none.

    named: regions that every part shows. Raises `PromptError` if they leave no room for others.
    """
    if total <= capacity:
        return [View(tuple(range(total)), total)]
    always = _named(named, total, capacity - 1)
    others = [row for row in range(total) if row not in always]
    room = capacity - len(always)
    parts = (others[i : i + room] for i in range(0, len(others), room))
    return [View(tuple(sorted([*always, *part])), total) for part in parts]


def _named(named: Iterable[int], total: int, limit: int) -> list[int]:
    """Those that exist, each once."""
    found = [number for number in dict.fromkeys(named) if number < total]
    if len(found) > limit:
        raise PromptError(f"{len(found)} regions are named; the model can read {limit} at once: name fewer")
    return found

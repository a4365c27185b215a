"""`Problems`: what was wrong in a data set, by kind, with the places."""

from __future__ import annotations

import logging

from fo1.data.record import RecordError

log = logging.getLogger(__name__)


class Problems:
    """Collects what was left out and why.

    strict: the first one is raised as a `RecordError` instead.
    loud: of each kind, so many are logged as warnings, the others for debugging only.
    """

    def __init__(self, strict: bool = False, loud: int = 3) -> None:
        self.strict, self.loud = strict, loud
        self.places: dict[str, list[str]] = {}

    def add(self, kind: str, place: str) -> None:
        """kind: what is wrong, the same words for the same thing. place: file, and what in it."""
        if self.strict:
            raise RecordError(f"{place}: {kind}")
        places = self.places.setdefault(kind, [])
        places.append(place)
        log.log(logging.WARNING if len(places) <= self.loud else logging.DEBUG, "%s: %s", place, kind)

    @property
    def total(self) -> int:
        """How many in all."""
        return sum(map(len, self.places.values()))

    def summary(self) -> list[str]:
        """How many of each kind, a line each, the most frequent first."""
        kinds = sorted(self.places, key=lambda kind: -len(self.places[kind]))
        return [f"{len(self.places[kind])} × {kind}" for kind in kinds]

    def lines(self) -> list[str]:
        """All of them, `place: kind`."""
        return [f"{place}: {kind}" for kind, places in self.places.items() for place in places]

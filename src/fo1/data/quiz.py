"""`Quiz`: what a record's image is asked for when a model is tried, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fo1.data.presence import Corpus, Presence
from fo1.data.record import Record
from fo1.data.settings import SettingError
from fo1.types import FloatArray


@dataclass(frozen=True)
class Quiz:
    """truth: present label → its boxes (G, 4). absent: labels that the image does not have."""

    record: Record
    truth: dict[str, FloatArray]
    absent: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """All that are asked for."""
        return [*self.truth, *self.absent]


def quizzes(records: Sequence[Record], absent: int, seed: int = 0) -> list[Quiz]:
    """One of each record. absent: labels of other records, or those it says are absent, at most so many.

    Raises `SettingError` if no record has labels.
    """
    known = sorted(Corpus.of(records).images)
    if not known:
        raise SettingError("no record to check with has labels")
    rng = np.random.default_rng(seed)
    return [Quiz(one, _by_label(one), _denied(Presence.of(one), known, absent, rng)) for one in records]


def _by_label(record: Record) -> dict[str, FloatArray]:
    labels = record.labels or ()
    present = list(dict.fromkeys(label for label in labels if label is not None))
    return {one: record.boxes[[label == one for label in labels]] for one in present}


def _denied(presence: Presence, known: Sequence[str], most: int, rng: np.random.Generator) -> tuple[str, ...]:
    absent = [label for label in presence.absent or known if presence.deniable(label)]
    return tuple(absent[int(i)] for i in rng.permutation(len(absent))[:most])

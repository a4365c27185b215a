"""`Averages`: a metric whose figures are means over the samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from typing import Generic, TypeVar

from fo1.evaluation.benchmark import Prediction, Sample

T = TypeVar("T")


class Averages(ABC, Generic[T]):
    """A subclass says what one sample contributes; the first figure is what a sample is ranked by.

    A figure in which a sample has no say is NaN for it.
    """

    def __init__(self) -> None:
        self.reset()

    @abstractmethod
    def figures(self, sample: Sample[T], prediction: Prediction | None) -> dict[str, float]:
        """This sample's figures, always of the same names; None is a failed sample. The first is in 0 … 1."""

    def reset(self) -> None:
        """Forgets all samples."""
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def update(self, sample: Sample[T], prediction: Prediction | None) -> None:
        """Takes one sample."""
        for name, value in self.figures(sample, prediction).items():
            self._values[name].append(value)

    def compute(self) -> dict[str, float]:
        """The mean of each figure over those samples for which it is not NaN; nothing without samples."""
        return {name: mean(values) for name, values in self._values.items()}

    def score(self, sample: Sample[T], prediction: Prediction | None) -> float:
        """The first figure."""
        return next(iter(self.figures(sample, prediction).values()))


def mean(values: Sequence[float]) -> float:
    """Of those that are not NaN; NaN of none."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan

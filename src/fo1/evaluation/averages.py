"""`Averages`: a metric whose figures are means over the samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import Generic, TypeVar

from fo1.evaluation.benchmark import Prediction, Sample

T = TypeVar("T")


class Averages(ABC, Generic[T]):
    """A subclass says what one sample contributes; the first figure is what a sample is ranked by."""

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
        """The mean of each figure; nothing if there are no samples."""
        return {name: sum(values) / len(values) for name, values in self._values.items()}

    def score(self, sample: Sample[T], prediction: Prediction | None) -> float:
        """The first figure."""
        return next(iter(self.figures(sample, prediction).values()))

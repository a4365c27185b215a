"""`SelectiveAverages`: means over those samples that have a say."""

from __future__ import annotations

from typing import TypeVar

from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmarks.grouped import mean

T = TypeVar("T")


class SelectiveAverages(Averages[T]):
    """As `Averages`; a figure that is NaN for a sample, is of other samples only."""

    def compute(self) -> dict[str, float]:
        """The mean of each figure; NaN if no sample has it."""
        return {name: mean(values) for name, values in self._values.items()}

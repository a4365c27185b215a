"""`Grouped`: a benchmark of several sets counts each set alone, then takes the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from fo1.evaluation.averages import mean
from fo1.evaluation.benchmark import Metric, Prediction, Sample

T = TypeVar("T")


class Grouped(Generic[T]):
    """One metric for each set: its figures are means over the sets, and the main one's are shown for each.

    Sets weigh the same, whatever their size. The ids of samples begin with their set: `SET/…`.
    main: the figure shown by set. make: a new metric of one set.
    """

    def __init__(self, main: str, make: Callable[[], Metric[T]]) -> None:
        self.main, self.make = main, make
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self._sets: dict[str, Metric[T]] = {}

    def update(self, sample: Sample[T], prediction: Prediction | None) -> None:
        """Takes one sample to those of its set."""
        group = sample.id.split("/")[0]
        if group not in self._sets:
            self._sets[group] = self.make()
        self._sets[group].update(sample, prediction)

    def compute(self) -> dict[str, float]:
        """Means over the sets that have a say, and `MAIN SET` for each set."""
        figures = {group: metric.compute() for group, metric in self._sets.items()}
        names = dict.fromkeys(name for one in figures.values() for name in one)
        means = {name: mean([one[name] for one in figures.values() if name in one]) for name in names}
        return means | {f"{self.main} {group}": one[self.main] for group, one in figures.items()}

    def score(self, sample: Sample[T], prediction: Prediction | None) -> float:
        """As the metric of one set."""
        return self.make().score(sample, prediction)

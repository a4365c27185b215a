"""`compare`: two runs of one benchmark side by side, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fo1.evaluation.benchmark import Benchmark, Metric, Prediction, Sample
from fo1.evaluation.predictions import PredictionFile, RunError
from fo1.evaluation.report import plain
from fo1.evaluation.run import Samples

PERCENT = 95
SAME = ("benchmark", "split", "samples")


@dataclass(frozen=True)
class Figure:
    """A value and the interval that holds `PERCENT` percent of its bootstrap values."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """NaN becomes null."""
        return plain({"value": self.value, "low": self.low, "high": self.high})


@dataclass(frozen=True)
class Row:
    """One metric of both runs. difference: second minus first, on the same samples."""

    name: str
    first: Figure
    second: Figure
    difference: Figure


@dataclass(frozen=True)
class Comparison:
    """runs: their settings. samples: how many both were asked."""

    runs: tuple[dict[str, Any], dict[str, Any]]
    samples: int
    resamples: int
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """One object; intervals are of `PERCENT` percent."""
        metrics = {
            row.name: {
                "first": row.first.to_json(),
                "second": row.second.to_json(),
                "difference": row.difference.to_json(),
            }
            for row in self.rows
        }
        counts = {"samples": self.samples, "resamples": self.resamples, "percent": PERCENT}
        return {"runs": list(self.runs), **counts, "metrics": metrics}


def read_pair(first: Path, second: Path) -> tuple[PredictionFile, PredictionFile]:
    """Two runs of the same samples. Raises `RunError` naming what differs."""
    runs = PredictionFile.read(first), PredictionFile.read(second)
    for key in SAME:
        old, new = (run.settings.get(key) for run in runs)
        if old != new:
            raise RunError(f"{first} and {second} cannot be compared: {key} is {old!r} and {new!r}")
    return runs


def compare(
    benchmark: Benchmark[Any],
    samples: Samples,
    runs: tuple[PredictionFile, PredictionFile],
    resamples: int = 200,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Comparison:
    """Figures of the samples both runs were asked, and how far chance could move them.

    Every resample draws as many samples with replacement, the same for both runs.
    advance: told of every resample. Raises `RunError` if no sample is in both.
    """
    common = [sample for sample in samples if all(sample.id in run for run in runs)]
    if not common:
        raise RunError(f"{runs[0].path} and {runs[1].path} have no sample in common")
    answers = [[run[sample.id].prediction for sample in common] for run in runs]
    metric, everything = benchmark.metric(), np.arange(len(common))
    observed = [_measure(metric, common, one, everything) for one in answers]
    names = list(observed[0])
    rng = np.random.default_rng(seed)
    drawn = np.full((resamples, 2, len(names)), np.nan)
    for number in range(resamples):
        places = rng.integers(0, len(common), len(common))
        for side, one in enumerate(answers):
            found = _measure(metric, common, one, places)
            drawn[number, side] = [found.get(name, np.nan) for name in names]
        if advance is not None:
            advance(1)
    rows = [
        _row(name, [one[name] for one in observed], drawn[:, :, place]) for place, name in enumerate(names)
    ]
    return Comparison((runs[0].settings, runs[1].settings), len(common), resamples, tuple(rows))


def _measure(
    metric: Metric[Any],
    samples: Sequence[Sample[Any]],
    predictions: Sequence[Prediction | None],
    places: NDArray[np.int64],
) -> dict[str, float]:
    metric.reset()
    for place in places:
        metric.update(samples[place], predictions[place])
    return metric.compute()


def _row(name: str, observed: Sequence[float], drawn: NDArray[np.float64]) -> Row:
    """drawn: (resamples, 2)."""
    first, second = observed
    return Row(
        name,
        _figure(first, drawn[:, 0]),
        _figure(second, drawn[:, 1]),
        _figure(second - first, drawn[:, 1] - drawn[:, 0]),
    )


def _figure(value: float, drawn: NDArray[np.float64]) -> Figure:
    known = drawn[~np.isnan(drawn)]  # a resample may hold no sample that has a say
    if not known.size:
        return Figure(value, float("nan"), float("nan"))
    low, high = np.percentile(known, [(100 - PERCENT) / 2, (100 + PERCENT) / 2])
    return Figure(value, float(low), float(high))

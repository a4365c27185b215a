from __future__ import annotations

import math

from PIL import Image

from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Prediction, Sample

SAMPLE = Sample("a", Image.new("RGB", (4, 4)), 3)


class Both(Averages[int]):
    def figures(self, sample: Sample[int], prediction: Prediction | None) -> dict[str, float]:
        value = 0.0 if prediction is None else float(prediction["value"])
        return {"value": value, "error": abs(value - sample.truth)}


def test_means_failures_and_a_new_start() -> None:
    metric = Both()
    assert metric.compute() == {}
    for prediction in ({"value": 1}, {"value": 0.5}, None):
        metric.update(SAMPLE, prediction)
    assert metric.compute() == {"value": 0.5, "error": 2.5}
    assert metric.score(SAMPLE, {"value": 1}) == 1
    metric.reset()
    assert metric.compute() == {}


def test_a_sample_without_a_say_counts_for_nothing() -> None:
    metric = Both()
    metric.update(SAMPLE, {"value": math.nan})
    assert all(math.isnan(value) for value in metric.compute().values())
    metric.update(SAMPLE, {"value": 1})
    assert metric.compute() == {"value": 1, "error": 2}

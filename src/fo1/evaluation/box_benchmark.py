"""`BoxBenchmark`: the base of benchmarks that ask for the boxes of labels."""

from __future__ import annotations

from fo1.evaluation.benchmark import Benchmark, Prediction, Sample
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.truth import BoxTruth
from fo1.scene import Scene


class BoxBenchmark(Benchmark[BoxTruth]):
    """Truth and predictions are of one form, so that the report can do more than print the metric.

    Its metric reads predictions with `Grounded.of_json`. It knows nothing of confidences: the report feeds it
    the same answers scored by the model, by the proposer and by both (`Grounded.by`), and draws PR curves,
    calibration, errors by size and by label count, and the worst cases.
    chunk: at most so many labels in one question; None: as many as the model takes.
    """

    chunk: int | None = None

    def asked(self, sample: Sample[BoxTruth]) -> tuple[str, ...]:
        """The labels the model is asked for, by default those that are judged."""
        return sample.truth.labels

    def ask(self, scene: Scene, sample: Sample[BoxTruth]) -> Prediction:
        """Scores of all regions for the labels asked; see `Grounded`."""
        return Grounded.of(scene, self.asked(sample), self.chunk).to_json()

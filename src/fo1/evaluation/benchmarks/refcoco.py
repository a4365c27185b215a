"""RefCOCO, RefCOCO+ and RefCOCOg: which one thing a phrase means."""

from __future__ import annotations

from pathlib import Path

from fo1.boxes import iou
from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.benchmarks.refs import open_refs
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.truth import BoxTruth

THRESHOLDS = (0.5, 0.75, 0.9)


class RefCoco(BoxBenchmark):
    """One data set of the family: a question for each sentence, worded as detection is.

    There always is a thing, and only one: the answer is the region of the highest score, however low it is.
    """

    def __init__(self, name: str, folder: str, file: str, splits: tuple[str, ...]) -> None:
        self.name, self.folder, self.file, self.splits = name, folder, file, splits
        self.description = f"{name}: the one thing a phrase means, accuracy"
        self.layout = f"{folder}/{file}, {folder}/instances.json and COCO's train2014/"

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample a sentence."""
        return open_refs(folder, self.folder, self.file, split)

    def metric(self) -> Accuracy:
        """Shares of sentences whose box overlaps the true one enough."""
        return Accuracy()


class Accuracy(Averages[BoxTruth]):
    """acc@IoU: the share of sentences whose best box has at least this IoU with the true one."""

    def figures(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> dict[str, float]:
        """1 or 0 for each IoU."""
        overlap = 0.0
        if prediction is not None:
            (phrase,) = sample.truth.labels
            boxes, _ = Grounded.of_json(prediction).boxes(phrase)
            overlap = float(iou(boxes[:1], sample.truth.xyxy).max(initial=0.0))
        return {f"acc@{least:g}": float(overlap >= least) for least in THRESHOLDS}


@BENCHMARKS.register("refcoco")
def refcoco() -> RefCoco:
    """RefCOCO, split by UNC; testA is people, testB everything else."""
    return RefCoco("refcoco", "refcoco", "refs(unc).p", ("val", "testA", "testB"))


@BENCHMARKS.register("refcoco+")
def refcoco_plus() -> RefCoco:
    """RefCOCO+, whose phrases name no places."""
    return RefCoco("refcoco+", "refcoco+", "refs(unc).p", ("val", "testA", "testB"))


@BENCHMARKS.register("refcocog")
def refcocog() -> RefCoco:
    """RefCOCOg, split by UMD, so that no image is in two splits."""
    return RefCoco("refcocog", "refcocog", "refs(umd).p", ("val", "test"))

"""OVDEval: eight kinds of fine-grained labels, each image with hard negatives of its own; NMS-AP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fo1.boxes import iou
from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.benchmark import BenchmarkError, Prediction, Sample
from fo1.evaluation.benchmarks.grouped import Grouped
from fo1.evaluation.benchmarks.instances import Instances, Row, tidy
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.files import existing
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray

TASKS = ("celebrity", "color", "landmark", "logo", "material", "negation", "position", "relationship")
ALL = "all"


@BENCHMARKS.register("ovdeval")
class OvdEval(BoxBenchmark):
    """OVDEval (Yao et al., arXiv 2308.13177): NMS-AP of each sub-task, and the mean of the eight.

    As its Evaluation.md says, an image is asked for its own labels, `text` and then `neg_text`, in one
    question. The paper's ninth sub-task, plain objects, is not in the release.
    """

    name = "ovdeval"
    description = "OVDEval: fine-grained labels beside hard negatives, NMS-AP"
    splits = (ALL, *TASKS)
    layout = "annotations/TASK.json and images/TASK/ for " + ", ".join(TASKS)

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an image, the sub-tasks one after the other."""
        tasks = TASKS if split == ALL else (split,)
        paths = [
            existing(folder / "annotations" / f"{t}.json", f"the sub-task {t} of OVDEval") for t in tasks
        ]
        return [sample for task, path in zip(tasks, paths, strict=True) for sample in _samples(task, path)]

    def metric(self) -> Grouped[BoxTruth]:
        """Each figure is the mean over the sub-tasks; NMS-AP is also shown for each."""
        return Grouped("NMS-AP", NmsAveragePrecision)


class NmsAveragePrecision(AveragePrecision):
    """AP of answers from which all but the best box of each true thing are taken, whatever its label.

    So naming one thing by two labels that contradict each other earns nothing: plain AP would count the
    positive one as found and hardly miss what the negative one costs.
    """

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        """A failed sample has found nothing."""
        if prediction is not None:
            prediction = suppressed(Grounded.of_json(prediction), sample.truth.xyxy).to_json()
        super().update(sample, prediction)

    def compute(self) -> dict[str, float]:
        """As AP's, with the published name."""
        return {name.replace("AP", "NMS-AP"): value for name, value in super().compute().items()}


def suppressed(answer: Grounded, truth: FloatArray, threshold: float = 0.5) -> Grounded:
    """The answer without boxes that overlap a true one by more than this IoU, but for the best of each.

    As `nms_threaded` in OVDEval's eval.py: labels are not looked at, neither the thing's nor the boxes', and
    of equals the last stays. truth: (G, 4) xyxy pixels.
    """
    pairs = [(label, region) for label, regions in answer.ranked.items() for region in regions]
    scores = np.array([answer.scores[label][region] for label, region in pairs])
    near = iou(truth, answer.xyxy[[region for _, region in pairs]]) > threshold
    losers = set(np.flatnonzero(near.any(axis=0)).tolist())
    for row in near[near.any(axis=1)]:
        losers.discard(max(np.flatnonzero(row).tolist(), key=lambda place: (scores[place], place)))
    gone = {pairs[place] for place in losers}
    return replace(
        answer,
        ranked={
            label: tuple(region for region in regions if (label, region) not in gone)
            for label, regions in answer.ranked.items()
        },
    )


def _samples(task: str, path: Path) -> list[Sample[BoxTruth]]:
    data = Instances.read(path, f"the sub-task {task} of OVDEval", {"file_name", "text", "neg_text"})
    images = path.parent.parent / "images"
    files = located([image["file_name"] for image in data.images], images, (task,), path)
    return data.samples(files, [data.truth(image, _labels(image, path)) for image in data.images], task)


def _labels(image: Row, path: Path) -> list[str]:
    for key in ("text", "neg_text"):
        if not isinstance(image[key], list) or not all(isinstance(label, str) for label in image[key]):
            raise BenchmarkError(f"{path}: {key} of image {image['id']} is no list of labels")
    return [tidy(label) for label in (*image["text"], *image["neg_text"])]

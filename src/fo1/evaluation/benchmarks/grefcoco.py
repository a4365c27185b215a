"""gRefCOCO: phrases that mean one thing, several, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import iou
from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.benchmarks.refs import open_refs
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.metrics import share
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray

NAN = float("nan")


@BENCHMARKS.register("grefcoco")
class GRefCoco(BoxBenchmark):
    """gRefCOCO (Liu et al. 2023; GREC, He et al., arXiv 2308.16182): a question for each sentence, worded as
    detection is. The answer is what the model reports, which may be nothing.
    """

    name = "grefcoco"
    description = "gRefCOCO: all that a phrase means, or nothing; N-acc and sets of boxes"
    splits = ("val", "testA", "testB")
    layout = "grefcoco/grefs(unc).json, grefcoco/instances.json and COCO's train2014/"

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample a sentence; the truth of one that means nothing has no boxes."""
        return open_refs(folder, "grefcoco", "grefs(unc).json", split)

    def metric(self) -> SetAccuracy:
        """F1=1 share, N-acc, T-acc, gIoU, cIoU."""
        return SetAccuracy()


class SetAccuracy(Averages[BoxTruth]):
    """Whole answers.

    Pr@F1=1: the share of sentences whose boxes are all right and none missing, at IoU 0.5; without a target,
    whose answer is empty. N-acc: the share of those without a target whose answer is empty. T-acc: the share
    of the others whose answer is not. These are GREC's. (The published evaluator measures overlap by the
    *generalised* IoU, which is never higher; we keep to the paper's IoU.)
    gIoU: the mean over sentences of the IoU of the areas that the two sets of boxes cover, 1 for a rightly
    empty answer. cIoU: those areas' intersections, summed over all sentences, by their summed unions, so that
    big things count more. Both are GRES's (Liu et al. 2023) with boxes for masks: not comparable with masks'
    figures.
    """

    def reset(self) -> None:
        """Forgets all samples."""
        super().reset()
        self._common, self._covered = 0.0, 0.0

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        """Takes one sample."""
        super().update(sample, prediction)
        common, covered = areas(_found(sample, prediction), sample.truth.xyxy)
        self._common += common
        self._covered += covered

    def compute(self) -> dict[str, float]:
        """The means, and cIoU."""
        means = super().compute()
        return means | {"cIoU": share(self._common, self._covered)} if means else means

    def figures(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> dict[str, float]:
        """N-acc or T-acc is NaN, as the sentence has no target or some. A failed sample is wrong in all."""
        truth, found = sample.truth.xyxy, _found(sample, prediction)
        if len(truth):
            right = matched(found, truth) == len(truth) == len(found)
            return {
                "Pr@F1=1": float(right),
                "N-acc": NAN,
                "T-acc": float(len(found) > 0),
                "gIoU": covered_iou(found, truth),
            }
        refused = float(prediction is not None and not len(found))
        return {"Pr@F1=1": refused, "N-acc": refused, "T-acc": NAN, "gIoU": refused}


def matched(found: FloatArray, truth: FloatArray, threshold: float = 0.5) -> int:
    """How many true boxes are found, the pair that overlaps most first; a box is matched once (GREC)."""
    overlaps = iou(found, truth)
    count = 0
    while overlaps.size and overlaps.max() >= threshold:
        row, column = np.unravel_index(overlaps.argmax(), overlaps.shape)
        overlaps[row], overlaps[:, column] = -1.0, -1.0
        count += 1
    return count


def covered_iou(a: FloatArray, b: FloatArray) -> float:
    """IoU of the areas that two sets of boxes cover; 0 if neither covers any."""
    return share(*areas(a, b))


def areas(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """The area that two sets of boxes both cover, and that which one of them does, in square pixels."""
    if not len(a) + len(b):
        return 0.0, 0.0
    xs, ys = (np.unique(np.concatenate([a, b])[:, axis::2]) for axis in (0, 1))
    cells = np.outer(np.diff(ys), np.diff(xs))
    one, other = (_cells(boxes, xs, ys) for boxes in (a, b))
    return float(cells[one & other].sum()), float(cells[one | other].sum())


def _found(sample: Sample[BoxTruth], prediction: Prediction | None) -> FloatArray:
    """Boxes (F, 4) that the model reports; none if it failed."""
    if prediction is None:
        return np.zeros((0, 4), np.float32)
    return Grounded.of_json(prediction).reported(sample.truth.labels[0])[0]


def _cells(boxes: FloatArray, xs: FloatArray, ys: FloatArray) -> NDArray[np.bool_]:
    """Which cells of the grid of all edges the boxes cover, (rows, columns) bool."""
    inside = np.zeros((len(ys) - 1, len(xs) - 1), dtype=bool)
    for (left, right), (top, bottom) in zip(
        np.searchsorted(xs, boxes[:, ::2]), np.searchsorted(ys, boxes[:, 1::2]), strict=True
    ):
        inside[top:bottom, left:right] = True
    return inside

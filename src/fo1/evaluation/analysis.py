"""`BoxAnalysis`: what a report says of scored boxes beside the metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import area
from fo1.evaluation.calibration import Calibration
from fo1.evaluation.grounded import Confidence, Grounded
from fo1.evaluation.matching import match
from fo1.evaluation.truth import BoxTruth

SIZES = ("small", "medium", "large")
SIZE_EDGES = (32**2, 96**2)  # COCO's, in pixels of area
LABEL_COUNTS = ((1, 1), (2, 5), (6, 20), (21, None))


@dataclass
class Errors:
    """Of the boxes a model reports, at IoU 0.5.

    things: true boxes. hits: those found. wrong: reported boxes of nothing.
    """

    things: int = 0
    hits: int = 0
    wrong: int = 0

    def to_json(self) -> dict[str, float]:
        """Counts, and the F1 they give."""
        total = 2 * self.hits + self.wrong + self.things - self.hits
        f1 = 2 * self.hits / total if total else float("nan")
        return {"things": self.things, "hits": self.hits, "wrong": self.wrong, "F1": f1}


@dataclass
class Curve:
    """Precision and recall of ranked boxes of all labels together, at IoU 0.5."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    things: int = 0

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Recall and precision at every score, best first."""
        order = np.argsort(-np.asarray(self.scores), kind="stable")
        right = np.cumsum(np.asarray(self.hits, dtype=bool)[order])
        return right / max(self.things, 1), right / (1 + np.arange(len(right)))


class BoxAnalysis:
    """Adds up samples; a failed one has found nothing.

    curves: one per confidence. by_size: errors by the size of the true box, or of the wrong one. by_labels:
    errors by how many labels were asked.
    """

    def __init__(self) -> None:
        self.curves = {confidence: Curve() for confidence in Confidence}
        self.by_size = {size: Errors() for size in SIZES}
        self.by_labels = {_range(low, high): Errors() for low, high in LABEL_COUNTS}

    def update(self, truth: BoxTruth, answer: Grounded | None) -> None:
        """Takes one sample; None is a failed one."""
        asked = len(truth.labels) if answer is None else len(answer.scores)
        few_or_many = self.by_labels[next(_range(*r) for r in LABEL_COUNTS if r[1] is None or asked <= r[1])]
        there = ~truth.crowd
        few_or_many.things += int(there.sum())
        for size, count in zip(SIZES, _sizes(truth.areas[there]), strict=True):
            self.by_size[size].things += count
        for curve in self.curves.values():
            curve.things += int(there.sum())
        if answer is not None:
            self._rank(truth, answer)
            for label in truth.labels:
                self._judge(truth, answer, label, few_or_many)

    def calibration(self) -> Calibration:
        """Of the model's own confidence."""
        own = self.curves[Confidence.own]
        return Calibration.of(own.scores, own.hits)

    def _rank(self, truth: BoxTruth, answer: Grounded) -> None:
        for confidence, curve in self.curves.items():
            scored = answer.by(confidence)
            for label in truth.labels:
                boxes, scores = scored.boxes(label)
                matched = match(boxes, truth, label)
                curve.scores += scores[matched.counts].tolist()
                curve.hits += matched.hits[matched.counts].tolist()

    def _judge(self, truth: BoxTruth, answer: Grounded, label: str, by_labels: Errors) -> None:
        boxes, _ = answer.reported(label)
        matched = match(boxes, truth, label)
        wrong = ~matched.hits & matched.counts
        by_labels.hits += int(matched.hits.sum())
        by_labels.wrong += int(wrong.sum())
        found = truth.areas[matched.found[matched.hits]]
        for size, hits, errors in zip(SIZES, _sizes(found), _sizes(area(boxes[wrong])), strict=True):
            self.by_size[size].hits += hits
            self.by_size[size].wrong += errors


def _sizes(areas: NDArray[np.float32]) -> Sequence[int]:
    """How many are small, medium and large."""
    classes = np.digitize(areas, SIZE_EDGES)
    return [int(count) for count in np.bincount(classes, minlength=len(SIZES))]


def _range(low: int, high: int | None) -> str:
    return f"{low} or more" if high is None else str(low) if low == high else f"{low} to {high}"

"""Detection metrics of small sets: matched boxes, F1, refusal, counting, ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import iou


def matched(predicted: ArrayLike, truth: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> int:
    """How many true boxes are found: greedy, best score first, each true box once, at this IoU or more."""
    overlaps = iou(predicted, truth)
    free = np.ones(overlaps.shape[1], dtype=bool)
    hits = 0
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        candidates = np.where(free, overlaps[row], -1.0)
        if candidates.size and candidates.max() >= threshold:
            free[candidates.argmax()] = False
            hits += 1
    return hits


def ranking(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative; ties count half.

    NaN if there are none of either.
    """
    if not positive or not negative:
        return float("nan")
    low = np.sort(np.asarray(negative, dtype=np.float64))
    values = np.asarray(positive, dtype=np.float64)
    below = np.searchsorted(low, values, side="left")
    not_above = np.searchsorted(low, values, side="right")
    return float((below + not_above).mean() / 2 / len(low))


@dataclass
class Tally:
    """What a run over a set adds up to. failed: cases that could not be asked; no other number has them."""

    failed: int = 0
    hits: int = 0
    predicted: int = 0
    true: int = 0
    refused: int = 0
    absent: int = 0
    counted: int = 0
    counted_near: int = 0
    counts: int = 0
    named: int = 0
    described: int = 0
    namings: int = 0
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)

    def add_present(self, boxes: ArrayLike, scores: NDArray[np.float32], truth: ArrayLike) -> None:
        """The answer about a label that is there."""
        found, there = len(scores), len(np.asarray(truth))
        self.hits += matched(boxes, truth, scores)
        self.predicted += found
        self.true += there
        self.counts += 1
        self.counted += found == there
        self.counted_near += abs(found - there) <= 1

    def add_absent(self, found: int) -> None:
        """The answer about a label that is not there; each box is a false alarm."""
        self.absent += 1
        self.refused += found == 0
        self.predicted += found

    def add_confidence(self, scores: NDArray[np.float32], overlap: NDArray[np.float32]) -> None:
        """Every region's score for one label, and its best IoU with a thing of that label (0 if absent)."""
        self.positive += scores[overlap >= 0.5].tolist()
        self.negative += scores[overlap < 0.3].tolist()

    def results(self) -> dict[str, float]:
        """The figures, each between 0 and 1, and how many cases are behind them."""
        precision, recall = share(self.hits, self.predicted), share(self.hits, self.true)
        return {
            "F1": share(2 * precision * recall, precision + recall),
            "precision": precision,
            "recall": recall,
            "refused": share(self.refused, self.absent),
            "count exact": share(self.counted, self.counts),
            "count within one": share(self.counted_near, self.counts),
            "naming": share(self.named, self.namings),
            "describing": share(self.described, self.namings),
            "AUC": ranking(self.positive, self.negative),
            "objects": self.true,
            "absent labels": self.absent,
            "failed": self.failed,
        }


def share(part: float, whole: float) -> float:
    """part / whole, 0 of nothing."""
    return part / whole if whole else 0.0

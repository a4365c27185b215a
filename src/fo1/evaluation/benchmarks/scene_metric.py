"""The figures of `fo1-scenes`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fo1.boxes import iou
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import f1, match
from fo1.evaluation.metrics import ranking, share
from fo1.evaluation.truth import BoxTruth

RIGHT, WRONG = 0.5, 0.3  # a region is the thing from this IoU; it is not below that


@dataclass
class Tally:
    """What the answers add up to."""

    hits: int = 0
    predicted: int = 0
    true: int = 0
    refused: int = 0
    absent: int = 0
    counted: int = 0
    counted_near: int = 0
    counts: int = 0
    pointed: int = 0
    phrases: int = 0
    described: int = 0
    namings: int = 0
    named: int = 0
    known: int = 0
    positive: list[float] = field(default_factory=list)
    negative: list[float] = field(default_factory=list)

    def add(self, answer: Grounded | None, truth: SceneTruth) -> None:
        """Detection, refusal and counting of one picture; without an answer all of it is missed."""
        for label in truth.labels:
            things = truth.xyxy[truth.rows(label)]
            boxes = np.zeros((0, 4), np.float32) if answer is None else answer.reported(label)[0]
            self.predicted += len(boxes)
            if len(things):
                self.hits += int(match(boxes, truth, label).hits.sum())
                self.true += len(things)
                self.counts += 1
                self.counted += answer is not None and len(boxes) == len(things)
                self.counted_near += answer is not None and abs(len(boxes) - len(things)) <= 1
            else:
                self.absent += 1
                self.refused += answer is not None and not len(boxes)

    def add_more(self, prediction: Prediction | None, truth: SceneTruth) -> None:
        """Referring, naming, describing and ranking of one picture."""
        for phrase, box in truth.referred:
            pointed = None if prediction is None else prediction["referred"][phrase]
            self.phrases += 1
            self.pointed += pointed is not None and bool(iou([pointed], [box])[0, 0] >= RIGHT)
        if prediction is None:
            return
        for call in prediction["called"]:
            self.namings += 1
            self.described += call["described"].strip().lower() == call["label"]
            self.known += call["named"] is not None
            self.named += call["named"] == call["label"]
        for label, scores in prediction["rated"].items():
            overlap = iou(prediction["boxes"], truth.xyxy[truth.rows(label)]).max(axis=1, initial=0.0)
            rated = np.asarray(scores)
            self.positive += rated[overlap >= RIGHT].tolist()
            self.negative += rated[overlap < WRONG].tolist()

    def results(self) -> dict[str, float]:
        """The figures between 0 and 1, and how much is behind them."""
        precision, recall = share(self.hits, self.predicted), share(self.hits, self.true)
        return {
            "F1": share(2 * precision * recall, precision + recall),
            "precision": precision,
            "recall": recall,
            "refused": share(self.refused, self.absent),
            "count exact": share(self.counted, self.counts),
            "count within one": share(self.counted_near, self.counts),
            "referring": _of(self.pointed, self.phrases),
            "naming": _of(self.named, self.known),
            "describing": _of(self.described, self.namings),
            "AUC": ranking(self.positive, self.negative),
            "objects": self.true,
            "absent labels": self.absent,
            "phrases": self.phrases,
        }


class SceneMetric:
    """F1, precision and recall of boxes at IoU 0.5; absent labels refused; counts; phrases; names.

    AUC: the chance that a region of a thing scores above one that is none, for the same kind of label.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self._tally = Tally()

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        """Takes one sample."""
        answer = None if prediction is None else Grounded.of_json(prediction)
        truth = SceneTruth.of_sample(sample)
        self._tally.add(answer, truth)
        if prediction is None or "referred" in prediction:  # the report scores boxes alone, too
            self._tally.add_more(prediction, truth)

    def compute(self) -> dict[str, float]:
        """The figures; NaN where nothing stands behind one, as naming by a model that knows no names."""
        return self._tally.results()

    def score(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> float:
        """F1 of this picture's boxes."""
        return f1(prediction, sample.truth)


def _of(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")

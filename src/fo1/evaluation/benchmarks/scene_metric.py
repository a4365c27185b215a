"""The figures of `fo1-scenes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fo1.boxes import iou
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.benchmarks.name_groups import NameGroup
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import f1, match
from fo1.evaluation.metrics import ranking, share
from fo1.evaluation.truth import BoxTruth

KNOWN, TAUGHT, ALL = (NameGroup.coco, NameGroup.imagenet), (NameGroup.taught,), tuple(NameGroup)
RIGHT, WRONG = 0.5, 0.3  # a region is the thing from this IoU; it is not below that


@dataclass
class Boxes:
    """Reported boxes, those of them that are right, and true ones."""

    hits: int = 0
    predicted: int = 0
    true: int = 0

    @classmethod
    def sum(cls, parts: Sequence[Boxes]) -> Boxes:
        """All of them together."""
        hits, predicted = sum(one.hits for one in parts), sum(one.predicted for one in parts)
        return cls(hits, predicted, sum(one.true for one in parts))

    def f1(self) -> float:
        """NaN where nothing is there and nothing reported."""
        return _of(2 * self.hits, self.predicted + self.true)


@dataclass
class Tally:
    """What the answers add up to. boxes: by where a label could be known from."""

    boxes: dict[NameGroup, Boxes] = field(default_factory=lambda: {group: Boxes() for group in NameGroup})
    refused: int = 0
    absent: int = 0
    refused_confusable: int = 0
    confusable: int = 0
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
            group = self.boxes[NameGroup.of(label)]
            group.predicted += len(boxes)
            if len(things):
                group.hits += int(match(boxes, truth, label).hits.sum())
                group.true += len(things)
                self.counts += 1
                self.counted += answer is not None and len(boxes) == len(things)
                self.counted_near += answer is not None and abs(len(boxes) - len(things)) <= 1
            else:
                self.absent += 1
                self.refused += answer is not None and not len(boxes)

    def add_more(self, prediction: Prediction | None, truth: SceneTruth) -> None:
        """Confusable labels, referring, naming, describing and ranking of one picture."""
        mistaken = truth.confusable if prediction is None else prediction.get("mistaken")
        if mistaken is not None:  # runs of before did not ask
            self.confusable += len(truth.confusable)
            self.refused_confusable += len(truth.confusable) - len(mistaken)
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
        known, taught, every = (Boxes.sum([self.boxes[g] for g in groups]) for groups in (KNOWN, TAUGHT, ALL))
        return {
            "F1": share(2 * every.hits, every.predicted + every.true),
            "precision": share(every.hits, every.predicted),
            "recall": share(every.hits, every.true),
            "F1 known": known.f1(),
            "F1 taught": taught.f1(),
            "refused": share(self.refused, self.absent),
            "refused confusable": _of(self.refused_confusable, self.confusable),
            "count exact": share(self.counted, self.counts),
            "count within one": share(self.counted_near, self.counts),
            "referring": _of(self.pointed, self.phrases),
            "naming": _of(self.named, self.known),
            "describing": _of(self.described, self.namings),
            "AUC": ranking(self.positive, self.negative),
            "objects": every.true,
            "objects known": known.true,
            "objects taught": taught.true,
            "absent labels": self.absent,
            "confusable labels": self.confusable,
            "phrases": self.phrases,
        }


class SceneMetric:
    """F1, precision and recall of boxes at IoU 0.5; absent labels refused; counts; phrases; names.

    F1 known, F1 taught: of labels that the bundled model's encoders knew, and of others that it was taught.
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

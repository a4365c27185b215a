"""`RegionCheck`: what a model gets right on a few records, quick enough to run within training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fo1.boxes import claims, iou
from fo1.data.images import ImageFiles
from fo1.data.quiz import quizzes
from fo1.data.record import Record
from fo1.drawing import draw
from fo1.evaluation.metrics import share
from fo1.pipeline import FO1
from fo1.scene import Scene
from fo1.types import FloatArray

DRAWN = 4


class RegionCheck:
    """Asks each record for labels that are there and some that are not; a found box is right from IoU 0.5.

    absent: labels asked for that an image does not have, the same at each check.
    proposed: shows what the model's own proposer finds, not the records' own boxes.
    namings: how many of all things are to be named, by `describe`.
    samples: folder for drawings of the first few records, made anew at each check.
    Raises `SettingError` if no record has labels.
    """

    def __init__(
        self,
        model: FO1,
        records: Sequence[Record],
        absent: int = 2,
        seed: int = 0,
        proposed: bool = False,
        namings: int = 0,
        samples: Path | None = None,
    ) -> None:
        self.model, self.images = model, ImageFiles()
        self.proposed, self.namings, self.samples = proposed, namings, samples
        self.quizzes = quizzes(records, absent, seed)

    def __call__(self) -> dict[str, float]:
        """F1, precision and recall over boxes; shares of absent labels refused and of names right."""
        hits = predicted = true = refused = denied = named = asked = 0
        for number, quiz in enumerate(self.quizzes):
            record, truth = quiz.record, quiz.truth
            if not truth:
                continue
            image = self.images.open(record.image)
            scene = self.model.look(image, None if self.proposed else record.boxes)
            found = scene.detect(quiz.labels)
            for label in truth:
                hits += int((claims(iou(found.by_label(label).xyxy, truth[label])) >= 0).sum())
            predicted += len(found)
            true += sum(len(boxes) for boxes in truth.values())
            refused += sum(not len(found.by_label(label)) for label in quiz.absent)
            denied += len(quiz.absent)
            for label, boxes in list(truth.items())[: self.namings - asked]:
                asked += 1
                named += _named(scene, boxes[:1], label)
            if self.samples is not None and number < DRAWN:
                self.samples.mkdir(parents=True, exist_ok=True)
                draw(image, found).save(self.samples / f"{number}.jpg")
        precision, recall = share(hits, predicted), share(hits, true)
        figures = {
            "F1": share(2 * precision * recall, precision + recall),
            "precision": precision,
            "recall": recall,
            "refused": share(refused, denied),
        }
        return {**figures, "named": share(named, asked)} if self.namings else figures


def _named(scene: Scene, box: FloatArray, label: str) -> bool:
    """Is the region at a thing called by its label?"""
    overlap = iou(scene.regions.xyxy, box)[:, 0]
    if not overlap.size or overlap.max() < 0.5:
        return False
    return scene.describe(int(overlap.argmax())).strip(" .").lower() == label.lower()

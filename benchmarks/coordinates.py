"""The rival of region tokens: the same base, taught to write `[{"bbox_2d": …, "label": …}]`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fo1.boxes import claims, iou
from fo1.data.images import ImageFiles
from fo1.data.record import Dialogue, Record, Turn
from fo1.pipeline import FO1

QUESTION = "Please detect {} in this image. Answer the question with boxes in JSON."
BATCH = 16
_THING = re.compile(r'\{"bbox_2d":\[(\d+),(\d+),(\d+),(\d+)\],"label":"([^"]*)"\}')


@dataclass(frozen=True)
class Space:
    """How coordinates are written. whole: an image's sides are this long; 0 for pixels."""

    name: str
    whole: int

    def out_of(self, box: Sequence[float], size: tuple[int, int]) -> list[int]:
        """Pixels → what is written."""
        return [round(v / side * (self.whole or side)) for v, side in zip(box, size * 2, strict=True)]

    def into(self, box: Sequence[float], size: tuple[int, int]) -> list[float]:
        """What is written → pixels."""
        return [v * side / (self.whole or side) for v, side in zip(box, size * 2, strict=True)]


PIXELS, THOUSAND = Space("pixels", 0), Space("0-1000", 1000)


def spelled(record: Record, space: Space, variations: int = 8) -> Record:
    """A painted record without regions, its answers in coordinates.

    As beside region tokens, all labels that are there are asked for, and as many that are not.
    """
    rng = np.random.default_rng(0)
    there = sorted({label for label in record.labels or () if label is not None})
    dialogues = []
    for _ in range(variations):
        count = min(max(len(there), 1), 4)
        absent = rng.choice(record.meta["absent"], count, replace=False).tolist()
        dialogues.append(_dialogue(record, [*there, *absent], rng, space))
    return replace(record, boxes=np.zeros((0, 4), np.float32), labels=None, dialogues=tuple(dialogues))


def _dialogue(record: Record, labels: list[str], rng: np.random.Generator, space: Space) -> Dialogue:
    """Things in the order in which they are asked for, then from left to right."""
    asked = [labels[i] for i in rng.permutation(len(labels))]
    size = record.image.size
    assert size is not None
    boxes = _by_label(record)
    things = [
        {"bbox_2d": space.out_of(box, size), "label": label}
        for label in asked
        for box in sorted(boxes.get(label, []))
    ]
    answer = json.dumps(things, separators=(",", ":"))
    return Turn("user", QUESTION.replace("{}", ", ".join(asked))), Turn("assistant", answer)


def parsed(answer: str) -> list[tuple[str, list[float]]]:
    """Label and box of every object that is whole, also if the list around them is not."""
    return [
        (label, [float(v) for v in numbers])
        for *numbers, label in (m.groups() for m in _THING.finditer(answer))
    ]


class CoordinateCheck:
    """Asks what `RegionCheck` asks, `absent` labels included, and counts as it does."""

    def __init__(
        self, model: FO1, records: Sequence[Record], absent: Sequence[Sequence[str]], space: Space
    ) -> None:
        self.model, self.records, self.absent, self.space = model, records, absent, space

    def __call__(self) -> dict[str, float]:
        hits = predicted = true = refused = denied = 0
        for start in range(0, len(self.records), BATCH):
            records = self.records[start : start + BATCH]
            absents = self.absent[start : start + BATCH]
            for record, absent, answer in zip(records, absents, self._answers(records, absents), strict=True):
                size = record.image.size
                assert size is not None
                found: dict[str, list[list[float]]] = {}
                for label, box in parsed(answer):
                    found.setdefault(label, []).append(self.space.into(box, size))
                truth = _by_label(record)
                for label, boxes in truth.items():
                    overlaps = iou(np.reshape(found.get(label, []), (-1, 4)), boxes)
                    hits += int((claims(overlaps) >= 0).sum())
                predicted += sum(len(found.get(label, [])) for label in (*truth, *absent))
                true += sum(len(boxes) for boxes in truth.values())
                refused += sum(label not in found for label in absent)
                denied += len(absent)
        precision, recall = hits / max(predicted, 1), hits / true
        return {
            "F1": 2 * hits / (predicted + true),
            "precision": precision,
            "recall": recall,
            "refused": refused / denied,
        }

    def _answers(self, records: Sequence[Record], absents: Sequence[Sequence[str]]) -> list[str]:
        images = [ImageFiles().open(record.image) for record in records]
        scenes = self.model.look_many(images, [np.zeros((0, 4))] * len(images))
        questions = [
            QUESTION.replace("{}", ", ".join([*_by_label(record), *absent]))
            for record, absent in zip(records, absents, strict=True)
        ]
        return self.model.ask_many(scenes, questions, max_new_tokens=256, constrained=False)


def _by_label(record: Record) -> Mapping[str, list[list[float]]]:
    there: dict[str, list[list[float]]] = {}
    for label, box in zip(record.labels or (), record.boxes.tolist(), strict=True):
        if label is not None:
            there.setdefault(label, []).append(box)
    return there

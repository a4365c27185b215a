"""`Statistics`: what a file of records holds, counted as it is read."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fo1.data.record import Dialogue, Record
from fo1.data.tasks import task_of
from fo1.prompts.parsing import mentions

PERCENTILES = (0, 10, 50, 90, 100)


def _floats() -> array[float]:
    return array("f")


@dataclass
class Statistics:
    """Counts over records; `add` each, then `to_json`.

    regions: of each record. sides: of each box, the side in pixels of a square of its area.
    shares: of each box, its area as a fraction of the image, where its size is known.
    phrases, absent: phrases that answers ground, and those with no object ("None").
    """

    records: int = 0
    dialogues: int = 0
    answers: int = 0
    phrases: int = 0
    absent: int = 0
    without_size: int = 0
    images: set[str] = field(default_factory=set)
    regions: array[float] = field(default_factory=_floats)
    sides: array[float] = field(default_factory=_floats)
    shares: array[float] = field(default_factory=_floats)
    tasks: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Counts one record."""
        self.records += 1
        self.images.add(record.image.path)
        self.sources[record.source or "unknown"] += 1
        self.labels.update(label for label in record.labels or () if label is not None)
        self._add_boxes(record)
        self.dialogues += len(record.dialogues)
        for dialogue in record.dialogues:
            self._add_dialogue(dialogue)

    def _add_boxes(self, record: Record) -> None:
        self.regions.append(len(record.boxes))
        self.without_size += record.image.size is None
        sides = np.clip(record.boxes[:, 2:] - record.boxes[:, :2], 0, None)
        areas = sides[:, 0].astype(float) * sides[:, 1]
        self.sides.extend(np.sqrt(areas).tolist())
        if record.image.size is not None:
            width, height = record.image.size
            self.shares.extend((areas / (width * height)).tolist())

    def _add_dialogue(self, dialogue: Dialogue) -> None:
        for turn in dialogue:
            if turn.role == "user":
                self.tasks[task_of(turn.text)] += 1
            elif turn.role == "assistant":
                self.answers += 1
                grounded = [regions for phrase, regions in mentions(turn.text) if phrase]
                self.phrases += len(grounded)
                self.absent += sum(not regions for regions in grounded)

    def to_json(self, most: int = 10) -> dict[str, Any]:
        """Plain numbers; distributions by their percentiles, of labels and sources the `most` common."""
        return {
            "records": self.records,
            "images": len(self.images),
            "records_without_size": self.without_size,
            "dialogues": self.dialogues,
            "answers": self.answers,
            "grounded_phrases": self.phrases,
            "phrases_answered_none": self.absent,
            "regions": len(self.sides),
            "regions_per_record": percentiles(self.regions),
            "box_side_pixels": percentiles(self.sides),
            "box_share_of_image": percentiles(self.shares, digits=5),
            "tasks": dict(self.tasks.most_common()),
            "labels": len(self.labels),
            "most_common_labels": dict(self.labels.most_common(most)),
            "most_common_sources": dict(self.sources.most_common(most)),
        }


def percentiles(values: array[float], digits: int = 1) -> dict[str, float] | None:
    """Least, 10 %, median, 90 % and largest; None of nothing."""
    if not values:
        return None
    found = np.percentile(np.frombuffer(values, dtype=np.float32), PERCENTILES, method="nearest")
    return {f"p{p}": round(float(v), digits) for p, v in zip(PERCENTILES, found, strict=True)}

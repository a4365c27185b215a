"""`Writing`: what is written on an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fo1.detections import Detections
from fo1.types import Regions


class Line(NamedTuple):
    """What one line says. score: mean chance of its letters; 0 if there are none."""

    text: str
    score: float


@dataclass(frozen=True, eq=False, repr=False)
class Writing(Detections):
    """Lines of text in reading order, or what some regions say in the order they were asked for.

    labels: what each says; empty where nothing could be read. regions: which was asked for; -1 for a line
    that was found. scores: how sure it is, 0 to 1; 1 where a language model read.
    """

    @classmethod
    def of_regions(cls, regions: Regions, rows: Sequence[int], lines: Sequence[Line]) -> Writing:
        """What the regions at `rows` say, and how sure it is."""
        texts, scores = tuple(text for text, _ in lines), np.array([s for _, s in lines], np.float32)
        numbers = np.array(rows, np.int64)
        return cls(regions.xyxy[numbers], scores, texts, numbers, regions.image_size)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(filter(None, self.labels))

"""`Page`: an image, and who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fo1.boxes import area, intersection
from fo1.reading.reader import Reader, in_reading_order
from fo1.reading.writing import Line, Writing
from fo1.types import Regions

LEAST_SCORE = 0.6


class Page:
    """Reads an RGB image: all of it, or regions. Its lines are found once."""

    def __init__(self, image: Image.Image, reader: Reader) -> None:
        self.image, self.reader = image, reader
        self._found: Regions | None = None

    def read(
        self, regions: Regions, rows: Sequence[int] | None, threshold: float, device: torch.device
    ) -> Writing:
        """Every line with at least this score, in reading order; or what the regions at `rows` say."""
        return self._all(threshold, device) if rows is None else self._some(regions, rows, device)

    def _all(self, threshold: float, device: torch.device) -> Writing:
        lines = self._lines(device)
        read = self.reader.read(self.image, lines.xyxy, device)
        kept = [i for i, line in enumerate(read) if line.text and line.score >= threshold]
        found = Writing.of_regions(lines, kept, [read[i] for i in kept])
        # Lines are no regions of the scene.
        return replace(found, regions=np.full(len(kept), -1))

    def _some(self, regions: Regions, rows: Sequence[int], device: torch.device) -> Writing:
        """Each region as one line, or all lines in it, whichever says more for sure."""
        own = regions.xyxy[list(rows)]
        parts = [self._within(box, device) for box in own]
        read = self.reader.read(self.image, np.concatenate([own, *parts]), device)
        left = iter(read[len(own) :])
        said = []
        for line, part in zip(read[: len(own)], parts, strict=True):
            together = _joined([next(left) for _ in part])
            said.append(max(line, together, key=_sure) if together.text else line)
        return Writing.of_regions(regions, rows, said)

    def _lines(self, device: torch.device) -> Regions:
        """In reading order."""
        if self._found is None:
            found = self.reader.find(self.image, device)
            self._found = found.take(in_reading_order(found.xyxy))
        return self._found

    def _within(self, box: NDArray[np.float32], device: torch.device) -> NDArray[np.float32]:
        """The lines (N, 4) of which at least half are in a box."""
        lines = self._lines(device).xyxy
        inside: NDArray[np.float32] = lines[2 * intersection(box, lines)[0] >= np.maximum(area(lines), 1e-6)]
        return inside


def _joined(lines: Sequence[Line]) -> Line:
    """Several lines as one, but for what is hardly read; each letter's chance counts alike."""
    said = [line for line in lines if line.score >= LEAST_SCORE]
    letters = sum(len(line.text) for line in said)
    score = sum(len(line.text) * line.score for line in said) / max(letters, 1)
    return Line(" ".join(line.text for line in said), score)


def _sure(line: Line) -> float:
    """How much it says for sure: a letter more likely wrong than right counts against it."""
    return len(line.text) * (line.score - 0.5)

"""`Reader`: finds lines of text and reads them, without a language model."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from fo1.boxes import clip
from fo1.reading.writing import Line
from fo1.types import Regions

if TYPE_CHECKING:
    from fo1.reading.finder import TextFinder
    from fo1.reading.recogniser import Recogniser

FINDER, RECOGNISER = "text_finder.safetensors", "text_recogniser.safetensors"


class Reader:
    """PP-OCR's finder and recogniser, each loaded when it is first wanted.

    folder: has their weights. dtype: in which they run.
    """

    TALL: ClassVar[float] = 1.5  # height by width, from which a line may stand on its side
    TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
    LEAST_SIDE: ClassVar[int] = 2  # pixels; nothing can be read in less

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        self.folder, self.dtype = folder, dtype

    @classmethod
    def of(cls, folder: Path, dtype: torch.dtype = torch.float32) -> Reader | None:
        """The reader whose weights are in a folder, if it has them."""
        there = all((folder / name).is_file() for name in (FINDER, RECOGNISER))
        return cls(folder, dtype) if there else None

    @cached_property
    def finder(self) -> TextFinder:
        """Raises `CheckpointError`."""
        from fo1.reading.finder import TextFinder  # only when something is to be read

        return TextFinder.from_file(self.folder / FINDER).to(self.dtype)

    @cached_property
    def recogniser(self) -> Recogniser:
        """Raises `CheckpointError`."""
        from fo1.reading.recogniser import Recogniser

        return Recogniser.from_file(self.folder / RECOGNISER).to(self.dtype)

    def find(self, image: Image.Image, device: torch.device) -> Regions:
        """Lines of text on an RGB image, in its pixels, from top to bottom."""
        return self.finder.to(device).find(image)

    def read(self, image: Image.Image, boxes: ArrayLike, device: torch.device) -> list[Line]:
        """What each box says as one line. boxes: (N, 4) xyxy pixels of the image.

        A tall one is also read turned either way; what reads so must have two letters.
        """
        crops: dict[tuple[int, int], Image.Image] = {}
        rows = clip(boxes, image.size)
        for number, (x1, y1, x2, y2) in enumerate(rows.tolist()):
            if min(x2 - x1, y2 - y1) < self.LEAST_SIDE:
                continue
            crop = image.crop((math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)))
            crops[number, 0] = crop
            if crop.height >= self.TALL * crop.width:
                crops |= {(number, way): crop.transpose(turn) for way, turn in enumerate(self.TURNS, start=1)}
        best = [Line("", 0.0)] * len(rows)
        if not crops:
            return best
        for (number, way), line in zip(
            crops, self.recogniser.to(device).read([*crops.values()]), strict=True
        ):
            if line.score > best[number].score and (way == 0 or len(line.text) > 1):
                best[number] = line
        return best


def in_reading_order(boxes: ArrayLike) -> list[int]:
    """Line by line from the top, each from the left. boxes: (N, 4) xyxy.

    What begins a line is the topmost box left; what overlaps it by half the lower one's height continues it.
    """
    b = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    left = sorted(range(len(b)), key=lambda i: float(b[i, 1] + b[i, 3]))
    order: list[int] = []
    while left:
        top, bottom = b[left[0], 1], b[left[0], 3]
        row = [
            i
            for i in left
            if min(bottom, b[i, 3]) - max(top, b[i, 1]) >= 0.5 * min(bottom - top, b[i, 3] - b[i, 1])
        ]
        order += sorted(row, key=lambda i: float(b[i, 0]))
        left = [i for i in left if i not in row]
    return order

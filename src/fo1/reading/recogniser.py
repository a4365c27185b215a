"""`Recogniser`: the network that reads one line of text, PP-OCRv6 small.

Architecture: PaddleOCR (PaddlePaddle authors, Apache-2.0): PP-LCNetV4, a neck of two transformer blocks, CTC
(Graves et al. 2006). Its classes are cut down to the letters that the weights' file names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fo1.encoders.pixels import PixelReader, batches_of_equal
from fo1.encoders.weights import load_weights
from fo1.errors import CheckpointError
from fo1.reading.lcnet import LCNet, Stage
from fo1.reading.writing import Line

YES, NO = True, False
WIDTH = 120  # of the neck


class Attending(nn.Module):
    """A transformer block over the places of a line, (B, T, WIDTH)."""

    HEADS: ClassVar[int] = 8

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-5)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mixing_norm = nn.LayerNorm(WIDTH, eps=1e-5)
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.queries_keys_values(self.attention_norm(x))
        batch, places, _ = x.shape
        parts = parts.view(batch, places, 3, self.HEADS, WIDTH // self.HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, places, WIDTH))
        mixed: Tensor = self.narrow(F.silu(self.widen(self.mixing_norm(x))))
        return x + mixed


class Recogniser(nn.Module):
    """A normalised batch (B, 3, 48, W) → chances (B, W / 8, letters + 1): at 0 of none, then of each letter.

    letters: those it knows.
    """

    HEIGHT: ClassVar[int] = 48
    STEP: ClassVar[int] = 32  # widths are rounded up to it, so that many run together; pixels of the input
    LONGEST: ClassVar[int] = 3200  # a longer line is squeezed
    BATCH: ClassVar[int] = 16
    # PaddleOCR reads images with OpenCV: blue first.
    READER: ClassVar[PixelReader] = PixelReader((127.5,) * 3, (127.5,) * 3, bgr=True)

    def __init__(self, letters: str) -> None:
        super().__init__()
        self.letters = letters
        self.backbone = LCNet(
            48,
            [
                Stage(96, (YES, NO, NO)),
                Stage(192, (YES, NO, YES, NO, YES, NO), (2, 1)),
                Stage(384, (YES, NO), (2, 1)),
            ],
        )
        self.straight = nn.Conv2d(384, WIDTH, 1)
        self.reduce = nn.Conv2d(384, WIDTH, 1)
        self.neighbours = nn.Conv2d(WIDTH, WIDTH, (1, 7), padding=(0, 3), groups=WIDTH)
        self.blocks = nn.Sequential(Attending(), Attending())
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.classifier = nn.Linear(WIDTH, len(letters) + 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_file(cls, path: Path) -> Recogniser:
        """The network with the weights and letters of a safetensors file, in float32 and evaluation mode.

        Raises `CheckpointError`.
        """
        try:
            with safe_open(path, framework="pt") as file:
                network = cls(file.metadata()["letters"])
        except (SafetensorError, OSError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path} names no letters: {error}; scripts/convert_ppocr.py makes it"
            ) from error
        load_weights(network, path)
        return network.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        x = F.avg_pool2d(self.backbone(pixels)[-1], (3, 2))
        straight, near = F.silu(self.straight(x)), F.silu(self.reduce(x))
        near = near + F.silu(self.neighbours(near))
        line = near.squeeze(2).transpose(1, 2)
        line = self.norm(self.blocks(line)) + straight.squeeze(2).transpose(1, 2)
        logits: Tensor = self.classifier(line)
        return logits.float().softmax(dim=2)

    @torch.inference_mode()
    def read(self, lines: Sequence[Image.Image]) -> list[Line]:
        """What each RGB picture of one line says, whatever others are read with it."""
        sizes = [self._size(line) for line in lines]
        read: dict[int, Line] = {}
        for size, members in batches_of_equal([(-(-width // self.STEP) * self.STEP, 0) for width in sizes]):
            for start in range(0, len(members), self.BATCH):
                rows = members[start : start + self.BATCH]
                pixels = [self._pixels(lines[i], sizes[i], size[0]) for i in rows]
                read |= zip(rows, map(self._decoded, self(torch.cat(pixels)).cpu()), strict=True)
        return [read[i] for i in range(len(lines))]

    def _size(self, line: Image.Image) -> int:
        """Width of the picture at the network's height."""
        return min(max(math.ceil(self.HEIGHT * line.width / line.height), 1), self.LONGEST)

    def _pixels(self, line: Image.Image, width: int, padded: int) -> Tensor:
        pixels = self.READER([line], (width, self.HEIGHT), like=self.classifier.weight)
        return F.pad(pixels, (0, padded - width))

    def _decoded(self, chances: Tensor) -> Line:
        """The likeliest at each place of (T, letters + 1); one that stays is one letter."""
        best, which = chances.max(dim=1)
        begins = (which > 0) & (which != F.pad(which, (1, 0))[:-1])
        text = "".join(self.letters[i - 1] for i in which[begins].tolist())
        return Line(text, float(best[begins].mean()) if text else 0.0)

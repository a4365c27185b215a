"""`TextFinder`: the network that finds lines of text, PP-OCRv6 small.

Architecture: PaddleOCR (PaddlePaddle authors, Apache-2.0): PP-LCNetV4, a feature pyramid, differentiable
binarisation (Liao et al., AAAI 2020), of which only the map of chances is needed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fo1.boxes import clip
from fo1.encoders.pixels import PixelReader, fitted_size
from fo1.encoders.weights import load_weights
from fo1.reading.blobs import blobs
from fo1.reading.lcnet import Gate, LCNet, Stage, conv, depthwise
from fo1.types import Regions

WIDTHS = (48, 96, 192, 384)
WIDTH = 96  # of the pyramid


class Lateral(nn.Module):
    """To another width, each channel once and once more as its gate says."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.gate = Gate(outputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(x)
        gate: Tensor = self.gate(x)
        return x + x * gate


class Pyramid(nn.Module):
    """Four maps from fine to coarse → one at the finest's size, (B, WIDTH, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        # From coarse to fine.
        self.enter = nn.ModuleList(Lateral(width, WIDTH) for width in reversed(WIDTHS))
        self.leave = nn.ModuleList(
            nn.Sequential(depthwise(WIDTH, 7), Lateral(WIDTH, WIDTH // 4)) for _ in WIDTHS
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        summed: list[Tensor] = []
        for enter, x in zip(self.enter, reversed(maps), strict=True):
            entered = enter(x)
            summed.append(entered + F.interpolate(summed[-1], scale_factor=2.0) if summed else entered)
        size = summed[-1].shape[2:]
        left = [F.interpolate(leave(x), size=size) for leave, x in zip(self.leave, summed, strict=True)]
        return torch.cat(left, dim=1)


class TextFinder(nn.Module):
    """A normalised batch (B, 3, H, W) → the chance of each pixel to be inside a line of text, (B, H, W).

    H and W are multiples of 32. Lines are drawn thinner than they are, so that neighbours stay apart.
    """

    # PaddleOCR reads images with OpenCV: blue first.
    READER: ClassVar[PixelReader] = PixelReader((127.5,) * 3, (127.5,) * 3, bgr=True)
    CELL: ClassVar[int] = 32
    # Small images are enlarged, so that small letters are seen; sides in pixels of the input.
    SHORT_SIDE, LONGEST_SIDE, MOST_ENLARGED = 736, 1536, 2.0
    INSIDE: ClassVar[float] = 0.3  # the chance from which a pixel is inside
    LEAST_SCORE: ClassVar[float] = 0.5  # mean chance of a line's pixels
    GROWTH: ClassVar[float] = 1.2  # undoes the thinness: times a line's area, divided by its perimeter

    def __init__(self) -> None:
        super().__init__()
        gates = (True, False)
        stages = [Stage(48, gates), Stage(96, gates, 2), Stage(192, gates * 2, 2), Stage(384, gates, 2)]
        self.backbone = LCNet(24, stages)
        self.pyramid = Pyramid()
        quarter = WIDTH // 4
        self.head = nn.Sequential(
            conv(WIDTH, quarter, 3),
            nn.ConvTranspose2d(quarter, quarter, 2, 2),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(quarter, 1, 2, 2),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_file(cls, path: Path) -> TextFinder:
        """The network with the weights of a safetensors file, in float32 and evaluation mode."""
        network = cls()
        load_weights(network, path)
        return network.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pyramid(self.backbone(pixels)))
        return logits.sigmoid().squeeze(1)

    @torch.inference_mode()
    def find(self, image: Image.Image) -> Regions:
        """Upright boxes around the lines of text on an RGB image, in its pixels, from top to bottom."""
        size = fitted_size(image.size, self._longest(image.size), self.CELL)
        pixels = self.READER([image], size, like=next(self.parameters()))
        chances = self(pixels)[0].float().cpu().numpy()
        found = blobs(chances, self.INSIDE)
        sides = found.xyxy[:, 2:] - found.xyxy[:, :2]
        grown = self.GROWTH * found.areas / (2 * sides.sum(axis=1))
        boxes = (found.xyxy + grown[:, None] * (-1, -1, 1, 1)) * np.tile(np.divide(image.size, size), 2)
        kept = (found.means >= self.LEAST_SCORE) & (sides.min(axis=1) >= 3)
        return Regions.of(clip(boxes[kept], image.size), image.size, found.means[kept])

    def _longest(self, size: tuple[int, int]) -> int:
        enlarged = min(max(self.SHORT_SIDE / min(size), 1.0), self.MOST_ENLARGED)
        return min(round(max(size) * enlarged), self.LONGEST_SIDE)

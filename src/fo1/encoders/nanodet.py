"""NanoDet-g: a small COCO detector whose backbone and pyramid serve as the auxiliary encoder.

Architecture: RangiLyu's NanoDet-g (CSP backbone, PAN by addition, one light head per level; Apache-2.0),
with every batch norm folded into its convolution. Trained on COCO train2017 at 416 × 416.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import PixelReader, batches_of_equal, fitted_size
from fo1.encoders.weights import load_weights


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution and leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.LeakyReLU(0.1, inplace=True)
    )


class Residue(nn.Module):
    """Two convolutions of half the width each, concatenated: the width stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width // 2)
        self.second = conv(width // 2, width // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat([self.second(x), x], dim=1)


class CrossStage(nn.Module):
    """One backbone stage: (B, width, H, W) → (B, 2 · width, H / stride, W / stride)."""

    def __init__(self, width: int, residues: int, stride: int) -> None:
        super().__init__()
        self.enter = conv(width, width, stride=stride)
        self.deep = nn.Sequential(*(Residue(width) for _ in range(residues)), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return torch.cat([self.deep(x), x], dim=1)


class PathAggregation(nn.Module):
    """Three levels to one width, summed from coarse to fine and back again."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(w, width, 1) for w in widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (lateral(x) for lateral, x in zip(self.lateral, maps, strict=True))
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        fine = fine + F.interpolate(middle, scale_factor=2.0, mode="bilinear")
        # Bilinear halving of an even side is the mean of each 2 × 2 cells.
        middle = middle + F.avg_pool2d(fine, 2)
        coarse = coarse + F.avg_pool2d(middle, 2)
        return [fine, middle, coarse]


class NanoDet(nn.Module):
    """A `VisionEncoder` whose maps are, each at strides 8, 16, 32:

    BACKBONE  128, 256, 512 channels
    PAN       128 channels each
    CLASSES   80 channels: probability of each COCO class, after the sigmoid
    BOXES     44 channels: logits over the distances 0 … 10 cells, to the left, top, right and bottom side

    input_size: the longest side of the network's input in pixels, a multiple of 32; the other side keeps the
        aspect, rounded to a multiple of 32.
    """

    BACKBONE: ClassVar[slice] = slice(0, 3)
    PAN: ClassVar[slice] = slice(3, 6)
    CLASSES: ClassVar[slice] = slice(6, 9)
    BOXES: ClassVar[slice] = slice(9, 12)

    WIDTH: ClassVar[int] = 128
    CLASS_COUNT: ClassVar[int] = 80
    BINS: ClassVar[int] = 11
    CELL: ClassVar[int] = 32
    READER: ClassVar[PixelReader] = PixelReader((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), bgr=True)

    def __init__(self, input_size: int = 416) -> None:
        super().__init__()
        if input_size < self.CELL or input_size % self.CELL:
            raise ValueError(f"input_size must be a positive multiple of {self.CELL}, got {input_size}")
        self.input_size = input_size
        self.stem = nn.Sequential(conv(3, 32, stride=2), nn.MaxPool2d(3, 2, padding=1))
        self.stages = nn.ModuleList(
            [CrossStage(32, 1, 1), CrossStage(64, 2, 2), CrossStage(128, 2, 2), CrossStage(256, 3, 2)]
        )
        self.pan = PathAggregation((128, 256, 512), self.WIDTH)
        outputs = self.CLASS_COUNT + 4 * self.BINS
        self.heads = nn.ModuleList(
            nn.Sequential(conv(self.WIDTH, self.WIDTH), nn.Conv2d(self.WIDTH, outputs, 1)) for _ in range(3)
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_file(cls, path: str | Path, input_size: int = 416) -> NanoDet:
        """The network with the weights of a safetensors file, in float32 and evaluation mode."""
        network = cls(input_size)
        load_weights(network, path)
        return network.eval()

    @property
    def channels(self) -> tuple[int, ...]:
        return (128, 256, 512) + (self.WIDTH,) * 3 + (self.CLASS_COUNT,) * 3 + (4 * self.BINS,) * 3

    @property
    def strides(self) -> tuple[float, ...]:
        return (8.0, 16.0, 32.0) * 4

    def forward(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        """The twelve maps of each image; images with the same input size run as one batch."""
        sizes = [fitted_size(image.size, self.input_size, self.CELL) for image in images]
        found: dict[int, FeatureMaps] = {}
        for size, members in batches_of_equal(sizes):
            pixels = self.READER([images[i] for i in members], size, like=next(self.parameters()))
            maps = self.maps(pixels)
            for row, i in enumerate(members):
                frame = Frame(images[i].size, size)
                found[i] = FeatureMaps(tuple(m[row] for m in maps), self.strides, frame)
        return [found[i] for i in range(len(images))]

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The twelve maps (B, C, H / stride, W / stride) of a normalised BGR batch (B, 3, H, W).

        H and W are multiples of 32.
        """
        x = self.stages[0](self.stem(pixels))
        backbone = []
        for stage in self.stages[1:]:
            x = stage(x)
            backbone.append(x)
        pan = self.pan(backbone)
        outputs = [head(level) for head, level in zip(self.heads, pan, strict=True)]
        classes = [o[:, : self.CLASS_COUNT].sigmoid() for o in outputs]
        boxes = [o[:, self.CLASS_COUNT :] for o in outputs]
        return (*backbone, *pan, *classes, *boxes)

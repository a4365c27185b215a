"""PP-LCNetV4: the small convolutional backbone of PP-OCRv6, which finds text and reads it.

Architecture: PaddleOCR (PaddlePaddle authors, Apache-2.0), as its released networks run: the parallel
branches of training and every batch norm are folded into one convolution each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Slope = Literal[5, 6]


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.ReLU(inplace=True)
    )


def depthwise(width: int, kernel: int = 3, stride: int | tuple[int, int] = 1) -> nn.Conv2d:
    """A filter for each channel."""
    return nn.Conv2d(width, width, kernel, stride, padding=kernel // 2, groups=width)


class Gate(nn.Module):
    """How much each channel counts on this image, (B, width, 1, 1) from 0 to 1: squeeze and excitation.

    slope: the sigmoid is a line that rises by 1 over so much.
    """

    def __init__(self, width: int, slope: Slope) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // 4, 1)
        self.excite = nn.Conv2d(width // 4, width, 1)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        x = self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True))))
        return (x / self.slope + 0.5).clamp(0, 1)


class Stem(nn.Module):
    """(B, 3, H, W) → (B, width, H / 4, W / 4), along two ways: filters and the greatest of four."""

    def __init__(self, middle: int, width: int) -> None:
        super().__init__()
        self.enter = conv(3, middle, 3, 2)
        # Even kernels look right and down.
        self.first = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(middle, middle // 2, 2), nn.ReLU())
        self.second = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(middle // 2, middle, 2), nn.ReLU())
        self.join = conv(2 * middle, middle, 3, 2)
        self.leave = conv(middle, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        greatest = F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1)
        left: Tensor = self.leave(self.join(torch.cat([greatest, self.second(self.first(x))], dim=1)))
        return left


class Block(nn.Module):
    """Filters each channel, then mixes the channels; a block that keeps the shape adds what it mixed.

    gated: a `Gate` after the filters.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int | tuple[int, int] = 1, gated: bool = False
    ) -> None:
        super().__init__()
        self.filter = depthwise(inputs, stride=stride)
        self.gate = Gate(inputs, 6) if gated else None
        self.mix = nn.Sequential(
            nn.Conv2d(inputs, 2 * inputs, 1), nn.GELU(), nn.Conv2d(2 * inputs, outputs, 1)
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        x = self.filter(x)
        if self.gate is not None:
            x = x * self.gate(x)
        mixed: Tensor = self.mix(x)
        return x + mixed if self.residual else mixed


@dataclass(frozen=True)
class Stage:
    """Blocks of one width. gates: for each block that keeps the shape, has it a gate? stride: of a first one
    that does not, which the first stage goes without.
    """

    width: int
    gates: tuple[bool, ...]
    stride: int | tuple[int, int] = 1


class LCNet(nn.Module):
    """A normalised batch (B, 3, H, W) → the output of each stage, the first at stride 4.

    middle: channels inside the stem.
    """

    def __init__(self, middle: int, stages: Sequence[Stage]) -> None:
        super().__init__()
        width = stages[0].width
        self.stem = Stem(middle, width)
        self.stages = nn.ModuleList()
        for stage in stages:
            changes = [] if stage.stride == 1 else [Block(width, stage.width, stage.stride)]
            width = stage.width
            self.stages.append(nn.Sequential(*changes, *(Block(width, width, gated=g) for g in stage.gates)))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = self.stem(pixels)
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

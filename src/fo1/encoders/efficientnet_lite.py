"""EfficientNet-Lite: ImageNet classifiers of plain convolutions, here as fully convolutional encoders.

Architecture: Google's EfficientNet-Lite (Apache-2.0; no squeeze-excitation, ReLU6, stem and head not scaled),
with every batch norm folded into its convolution. Trained on ImageNet-1k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import IMAGENET, PixelReader, batches_of_equal, fitted_size
from fo1.encoders.weights import load_weights


@dataclass(frozen=True)
class Variant:
    """How one member of the family is scaled. resolution: the side it was trained at, in pixels."""

    width: float
    depth: float
    resolution: int


VARIANTS = {"lite0": Variant(1.0, 1.0, 224), "lite1": Variant(1.0, 1.1, 240), "lite2": Variant(1.1, 1.2, 260)}

# Per stage of lite0: repeats, kernel, stride, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
MIDDLE = 4  # the stage whose output is the finer of the two maps


def scaled_width(width: int, factor: float) -> int:
    """`width · factor` to the nearest multiple of 8, but never more than a tenth below."""
    scaled = width * factor
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) for an input of `side` pixels."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


class Convolution(nn.Sequential):
    """A convolution, padded as the network's training resolution needed, and ReLU6 if `active`.

    SAME padding depends on the side; keeping that of training keeps every filter where it was trained.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        side: int = 1,
        active: bool = True,
    ) -> None:
        before, after = same_padding(side, kernel, stride)
        even = before == after
        layers: list[nn.Module] = [] if even else [nn.ZeroPad2d((before, after, before, after))]
        padding = before if even else 0
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups))
        if active:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class Block(nn.Module):
    """Inverted residual: expand, filter each channel, project; added to the input where shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, side: int
    ) -> None:
        super().__init__()
        width = inputs * expansion
        layers = [Convolution(inputs, width)] if expansion > 1 else []
        layers.append(Convolution(width, width, kernel, stride, groups=width, side=side))
        layers.append(Convolution(width, outputs, active=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """A normalised RGB batch (B, 3, H, W) → maps at stride 16 (lite2: 120 channels) and 32 (1280 channels).

    variant: one of `VARIANTS`.
    """

    def __init__(self, variant: str = "lite2") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
        scale = VARIANTS[variant]
        self.stem = Convolution(3, STEM, 3, 2, side=scale.resolution)
        side, inputs = math.ceil(scale.resolution / 2), STEM
        self.stages = nn.ModuleList()
        for i, (repeats, kernel, stride, expansion, width) in enumerate(STAGES):
            outputs = scaled_width(width, scale.width)
            if 0 < i < len(STAGES) - 1:
                repeats = math.ceil(repeats * scale.depth)
            blocks = []
            for step in [stride] + [1] * (repeats - 1):
                blocks.append(Block(inputs, outputs, kernel, step, expansion, side))
                side, inputs = math.ceil(side / step), outputs
            self.stages.append(nn.Sequential(*blocks))
        self.head = Convolution(inputs, HEAD)
        self.classifier = nn.Linear(HEAD, CLASSES)
        self.channels = (scaled_width(STAGES[MIDDLE][-1], scale.width), HEAD)
        # Training at 260 px pads odd sides by one pixel on the right only, so a cell looks this much (in
        # cells) left of and above where a centred one would.
        self.shifts = (4.5 / 16, 12.5 / 32)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_file(cls, path: str | Path, variant: str = "lite2") -> EfficientNetLite:
        """The network with the weights of a safetensors file, in float32 and evaluation mode."""
        network = cls(variant)
        load_weights(network, path)
        return network.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, C, ~H / 16, ~W / 16) of the fifth stage and (B, 1280, ~H / 32, ~W / 32) of the head."""
        x = self.stem(pixels)
        for stage in self.stages[: MIDDLE + 1]:
            x = stage(x)
        middle = x
        for stage in self.stages[MIDDLE + 1 :]:
            x = stage(x)
        return middle, self.head(x)

    def classify(self, pooled: Tensor) -> Tensor:
        """ImageNet logits (N, 1000) of averages (N, 1280) of the coarse map, over an image or a region."""
        logits: Tensor = self.classifier(pooled)
        return logits


class EfficientNetPyramid(nn.Module):
    """A `VisionEncoder` that looks at several sizes of the image: ImageNet taught it one size of object.

    Maps, for each scale from small to large: the network's map at stride 16 (lite2: 120 channels), then that
    at stride 32 (1280 channels). The frame is the largest scale's; smaller scales have larger strides in it.

    longest_sides: longest side of the network's input per scale, in pixels, multiples of 4, ascending.
    """

    READER: ClassVar[PixelReader] = IMAGENET
    # The stem and second stage drop a last odd row; past them lite2 rounds odd sides up. So sides need only
    # be multiples of 4, which keeps the aspect, and with it one stride for x and y, even at small scales.
    MULTIPLE: ClassVar[int] = 4

    def __init__(self, network: EfficientNetLite, longest_sides: Sequence[int] = (256, 448, 704)) -> None:
        super().__init__()
        if not longest_sides or list(longest_sides) != sorted(set(longest_sides)):
            raise ValueError(f"longest_sides must be ascending sizes, got {tuple(longest_sides)}")
        if longest_sides[0] < self.MULTIPLE or any(side % self.MULTIPLE for side in longest_sides):
            raise ValueError(f"longest_sides must be multiples of {self.MULTIPLE}, got {longest_sides}")
        self.network = network
        self.longest_sides = tuple(longest_sides)

    @classmethod
    def from_file(
        cls, path: str | Path, longest_sides: Sequence[int] = (256, 448, 704), variant: str = "lite2"
    ) -> EfficientNetPyramid:
        """The pyramid on the weights of a safetensors file, in float32 and evaluation mode."""
        return cls(EfficientNetLite.from_file(path, variant), longest_sides).eval()

    @property
    def channels(self) -> tuple[int, ...]:
        return self.network.channels * len(self.longest_sides)

    @property
    def strides(self) -> tuple[float, ...]:
        largest = self.longest_sides[-1]
        return tuple(cell * largest / side for side in self.longest_sides for cell in (16, 32))

    def forward(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        """The maps of each image; images of the same size run as one batch."""
        maps: list[list[Tensor]] = [[] for _ in images]
        for longest in self.longest_sides:
            sizes = [fitted_size(image.size, longest, self.MULTIPLE) for image in images]
            for size, members in batches_of_equal(sizes):
                pixels = self.READER([images[i] for i in members], size, like=self.network.classifier.weight)
                middle, coarse = self.network(pixels)
                for row, i in enumerate(members):
                    maps[i] += [middle[row], coarse[row]]
        frames = [Frame(i.size, fitted_size(i.size, self.longest_sides[-1], self.MULTIPLE)) for i in images]
        return [FeatureMaps(tuple(m), self.strides, f) for m, f in zip(maps, frames, strict=True)]

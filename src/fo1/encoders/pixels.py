"""From PIL images to the normalised tensors that convolutional encoders read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fo1.encoders.bounds import bounded
from fo1.errors import CheckpointError

Aspect = Literal["dynamic", "squash", "dynamic_square"]
"""How an image's shape becomes an encoder's, in the words of the released config (see `Sizing`)."""


def fitted_size(size: tuple[int, int], longest_side: int, multiple: int) -> tuple[int, int]:
    """The (width, height) with that longest side and the aspect of `size`, in multiples of `multiple`.

    Rounding bends the aspect by at most half a multiple; without padding, no cell sees an empty border.
    """
    scale = longest_side / max(size)
    width, height = (max(multiple, round(side * scale / multiple) * multiple) for side in size)
    return width, height


@dataclass(frozen=True)
class PixelReader:
    """Resizes and normalises: (value − mean) / std per channel, values 0…255.

    mean, std: in the channel order the network reads.
    bgr: the network reads blue first.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False
    resample: Image.Resampling = Image.Resampling.BILINEAR

    def __call__(self, images: Sequence[Image.Image], size: tuple[int, int], like: Tensor) -> Tensor:
        """The images at `size` as a channels-last batch (B, 3, height, width), of the kind of `like`.

        size: (width, height). like: gives device and dtype.
        """
        arrays = [np.asarray(self._resized(image, size)) for image in images]
        pixels = torch.from_numpy(np.stack(arrays)).to(like.device).permute(0, 3, 1, 2)
        if self.bgr:
            pixels = pixels.flip(1)
        mean, std = (torch.tensor(v, device=like.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        normalised = (pixels.float() - mean) / std
        return normalised.to(like.dtype, memory_format=torch.channels_last)

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        # reducing_gap: large photos are first shrunk by whole factors, which is faster and hardly different.
        return rgb if rgb.size == size else rgb.resize(size, self.resample, reducing_gap=3.0)


IMAGENET = PixelReader((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), resample=Image.Resampling.BICUBIC)


@dataclass(frozen=True)
class Sizing:
    """Resizes (bicubic) an image to what the released model's auxiliary encoder reads.

    aspect: "dynamic" keeps the size, "squash" makes it 768 × 768, "dynamic_square" a square of the longest
        side, at least 384 (recordings show this for one image, of 203 × 97; the released model is "dynamic").
    min_side, max_side: limits on the sides before that (see `bounded`).
    """

    aspect: Aspect = "dynamic"
    min_side: int | None = 28
    max_side: int | None = 2048

    SQUASHED: ClassVar[int] = 768
    LEAST_SQUARE: ClassVar[int] = 384

    def __post_init__(self) -> None:
        if self.aspect not in get_args(Aspect):
            known = ", ".join(get_args(Aspect))
            raise CheckpointError(f"unknown aspect {self.aspect!r} of the auxiliary input; known: {known}")

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image at its new size; itself if that is the old one."""
        image = bounded(image, self.min_side, self.max_side)
        if self.aspect == "dynamic":
            return image
        side = self.SQUASHED if self.aspect == "squash" else max(*image.size, self.LEAST_SQUARE)
        return image.resize((side, side), Image.Resampling.BICUBIC)


def batches_of_equal(sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Each distinct size with the indices that have it: what can run as one batch."""
    for size in dict.fromkeys(sizes):
        yield size, [i for i, other in enumerate(sizes) if other == size]

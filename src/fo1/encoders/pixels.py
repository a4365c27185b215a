"""From PIL images to the normalised tensors that convolutional encoders read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor


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


def batches_of_equal(sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Each distinct size with the indices that have it: what can run as one batch."""
    for size in dict.fromkeys(sizes):
        yield size, [i for i, other in enumerate(sizes) if other == size]

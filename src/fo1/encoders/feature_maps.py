"""`FeatureMaps`: what a vision encoder says of one image, and where on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """The map between pixels of the original image and pixels of an encoder's input.

    image_size: (width, height) of the original image.
    input_size: (width, height) that the image was resized to.
    offset: (x, y), input pixels from the maps' upper left corner to the image's, for padding to the left and
        above; padding to the right and below needs none.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels per original pixel, along x and y."""
        return self.input_size[0] / self.image_size[0], self.input_size[1] / self.image_size[1]

    def boxes_in(self, xyxy: Tensor) -> Tensor:
        """Boxes (N, 4) from original pixels, clamped to the image, to input pixels of the maps."""
        width, height = self.image_size
        limit = torch.tensor([width, height, width, height], dtype=xyxy.dtype, device=xyxy.device)
        scale = torch.tensor(self.scale * 2, dtype=xyxy.dtype, device=xyxy.device)
        offset = torch.tensor(self.offset * 2, dtype=xyxy.dtype, device=xyxy.device)
        return torch.minimum(xyxy.clamp(min=0), limit) * scale + offset


@dataclass(frozen=True)
class FeatureMaps:
    """Feature maps of one image.

    maps: each (C_l, H_l, W_l); level l has one cell per `strides[l]` input pixels.
    strides: input pixels per cell, one per map.
    frame: how input pixels relate to original pixels, so that nobody else rescales boxes.
    """

    maps: tuple[Tensor, ...]
    strides: tuple[float, ...]
    frame: Frame

    def __post_init__(self) -> None:
        if len(self.maps) != len(self.strides):
            raise ValueError(f"{len(self.maps)} maps but {len(self.strides)} strides")

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(m.shape[0] for m in self.maps)

"""Region pooling as it is written down: the rival of `fo1.regions.pooling`.

Levels upsampled to the finest and concatenated, RoIAlign with adaptive sampling, the mean over its bins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.encoders.feature_maps import FeatureMaps, Frame

CHANNELS, STRIDES, BINS = (256, 512, 1024, 2048), (4.0, 8.0, 16.0, 32.0), 7  # DaViT-Large's maps


def random_maps(side: int) -> FeatureMaps:
    """DaViT-Large's four maps of a square picture."""
    shapes = [(c, -(-side // int(s)), -(-side // int(s))) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    return FeatureMaps(tuple(torch.randn(s) for s in shapes), STRIDES, Frame((side, side), (side, side)))


def random_boxes(count: int, side: int) -> Tensor:
    """Boxes from a twentieth to half of the side, anywhere."""
    size = side * (0.05 + 0.45 * torch.rand(count, 2))
    corner = torch.rand(count, 2) * (side - size)
    return torch.cat([corner, corner + size], dim=1)


def upsampled(maps: FeatureMaps) -> Tensor:
    """All levels at the size of the finest, concatenated, (C, H, W)."""
    first, *others = (m[None] for m in maps.maps)
    size = first.shape[-2:]
    resized = [F.interpolate(m, size, mode="bilinear", align_corners=False) for m in others]
    return torch.cat([first, *resized], dim=1)[0]


def samples(low: float, high: float, size: int) -> tuple[int, int, Tensor, Tensor]:
    """RoIAlign's evenly spaced samples along one axis, which the box covers from low to high, in cells.

    Returns the first cell needed, the one after the last, and per sample the cell before it, counted from the
    first, and how far it is towards the next.
    """
    length = max(high - low, 1.0)
    count = BINS * max(-int(-length // BINS), 1)
    position = (low + (torch.arange(count) + 0.5) * (length / count)).clamp(0, size - 1)
    below = position.floor().long().clamp(max=size - 2)
    first, last = int(below[0]), int(below[-1])
    return first, last + 2, below - first, position - below


def direct(maps: FeatureMaps, boxes: Tensor) -> Tensor:
    """The mean of RoIAlign over each box, (N, C): samples, their mean in each bin, the mean over bins.

    boxes: (N, 4) pixels of the encoder's input.
    """
    feature_map = upsampled(maps).permute(1, 2, 0).contiguous()  # a sample reads all channels
    height, width, channels = feature_map.shape
    features = []
    for x1, y1, x2, y2 in (boxes / maps.strides[0]).tolist():
        left, right, before, across = samples(x1, x2, width)
        top, bottom, above, down = samples(y1, y2, height)
        crop = feature_map[top:bottom, left:right]
        rows = torch.lerp(crop[above], crop[above + 1], down[:, None, None])
        values = torch.lerp(rows[:, before], rows[:, before + 1], across[:, None])
        bins = values.view(BINS, len(down) // BINS, BINS, len(across) // BINS, channels).mean(dim=(1, 3))
        features.append(bins.mean(dim=(0, 1)))
    return torch.stack(features)

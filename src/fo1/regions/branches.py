"""Branches: feature maps of one encoder + boxes → one vector per box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fo1.encoders.feature_maps import FeatureMaps
from fo1.regions.pooling import pool_boxes
from fo1.regions.pyramid import SimpleFP


class Branch(nn.Module):
    """Base of all branches. `out_channels` is the length of a region's vector."""

    out_channels: int

    def forward(self, features: FeatureMaps, boxes: Tensor) -> Tensor:
        """boxes: (N, 4) pixels of the encoder's input, inside it. Returns (N, out_channels) float32."""
        raise NotImplementedError


class LevelBranch(Branch):
    """RoIAlign on every level, averaged, concatenated.

    channels: of the maps it reads, the first `len(channels)` of the encoder's.
    resize_to_first: pool every level as if upsampled to the first one (the auxiliary branch of the paper).
    """

    def __init__(
        self, channels: Sequence[int], bins: int = 7, aligned: bool = False, resize_to_first: bool = False
    ) -> None:
        super().__init__()
        self.levels = len(channels)
        self.out_channels = sum(channels)
        self.bins, self.aligned, self.resize_to_first = bins, aligned, resize_to_first

    def forward(self, features: FeatureMaps, boxes: Tensor) -> Tensor:
        first, *_ = features.maps
        grid = (first.shape[1], first.shape[2]) if self.resize_to_first else None
        pooled = [
            pool_boxes(m, boxes, features.strides[0] if grid else stride, self.bins, self.aligned, grid)
            for m, stride in zip(features.maps[: self.levels], features.strides, strict=False)
        ]
        return torch.cat(pooled, dim=1).float()


class PyramidBranch(Branch):
    """SimpleFP on the last map of a plain ViT, then RoIAlign per level (the primary branch of the paper)."""

    def __init__(self, channels: int, out_channels: int = 512, bins: int = 7) -> None:
        super().__init__()
        self.pyramid = SimpleFP(channels, out_channels)
        self.out_channels = out_channels * len(SimpleFP.strides)
        self.bins = bins

    def forward(self, features: FeatureMaps, boxes: Tensor) -> Tensor:
        stride = features.strides[-1]
        # The pyramid may be trained in float32 below a tower in half precision.
        levels = self.pyramid.each(features.maps[-1].to(next(self.pyramid.parameters()).dtype))
        pooled = [
            pool_boxes(level, boxes, stride * scale, self.bins)
            for level, scale in zip(levels, SimpleFP.strides, strict=True)
        ]
        return torch.cat(pooled, dim=1).float()


class ScaleBranch(Branch):
    """Pools each box from the one scale of an image pyramid at which it looks most like a training picture.

    A classifier trained on 260-px pictures is out of its depth on a cup of 60 or 600 px. With the image
    encoded at several scales, the box is read where its longer side is nearest to `canonical` pixels.

    channels: of the maps of one scale; the encoder lists its scales from small to large.
    scales: longest input side of each, in pixels; the frame's input size is that of the last.
    shifts: how many cells each map lags behind its picture (see `EfficientNetLite.shifts`).
    """

    def __init__(
        self,
        channels: Sequence[int],
        scales: Sequence[int],
        shifts: Sequence[float],
        canonical: float = 200.0,
        bins: int = 7,
    ) -> None:
        super().__init__()
        self.shifts = tuple(shifts)
        self.scales, self.canonical, self.bins = tuple(scales), canonical, bins
        self.per_scale = len(channels)
        self.out_channels = sum(channels)

    def choose(self, boxes: Tensor) -> Tensor:
        """The scale's index for each box, (N,)."""
        side = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1).clamp(min=1)
        ratio = torch.tensor(self.scales, dtype=side.dtype, device=side.device) / self.scales[-1]
        distance = (side[:, None] * ratio / self.canonical).log().abs()
        return distance.argmin(dim=1)

    def forward(self, features: FeatureMaps, boxes: Tensor) -> Tensor:
        chosen = self.choose(boxes)
        pooled = torch.zeros(len(boxes), self.out_channels, device=boxes.device)
        for scale in chosen.unique().tolist():
            rows = (chosen == scale).nonzero()[:, 0]
            first = scale * self.per_scale
            columns = []
            for i, shift in enumerate(self.shifts, first):
                stride = features.strides[i]
                shifted = boxes[rows] + shift * stride
                columns.append(pool_boxes(features.maps[i], shifted, stride, self.bins, aligned=True))
            pooled[rows] = torch.cat(columns, dim=1).float()
        return pooled

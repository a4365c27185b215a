"""SimpleFP: a feature pyramid from one map of a plain vision transformer (ViTDet, arXiv 2203.16527)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Layer norm over the channels of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        channels_last = x.permute(0, 2, 3, 1)
        normed = F.layer_norm(channels_last, channels_last.shape[-1:], self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


class SimpleFP(nn.Module):
    """Four levels at scales 4, 2, 1 and ½ of a ViT's map.

    channels: of the ViT's map. out_channels: of every level. `strides` are relative to the map's own stride.
    """

    strides = (0.25, 0.5, 1.0, 2.0)

    def __init__(self, channels: int, out_channels: int = 512) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.levels = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(channels, half, 2, stride=2),
                    ChannelNorm(half),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, 2, stride=2),
                    *self._lateral(quarter, out_channels),
                ),
                nn.Sequential(
                    nn.ConvTranspose2d(channels, half, 2, stride=2), *self._lateral(half, out_channels)
                ),
                nn.Sequential(*self._lateral(channels, out_channels)),
                nn.Sequential(nn.MaxPool2d(2), *self._lateral(channels, out_channels)),
            ]
        )
        self.out_channels = out_channels

    @staticmethod
    def _lateral(channels: int, out_channels: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, out_channels, 1, bias=False),
            ChannelNorm(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            ChannelNorm(out_channels),
        ]

    def forward(self, feature_map: Tensor) -> tuple[Tensor, ...]:
        """(C, H, W) → four maps: (out, 4H, 4W), (out, 2H, 2W), (out, H, W), (out, H // 2, W // 2)."""
        return tuple(self.each(feature_map))

    def each(self, feature_map: Tensor) -> Iterator[Tensor]:
        """The same maps one by one, for who can let go of a level before the next is made."""
        batch = feature_map[None]
        for level in self.levels:
            yield level(batch)[0]

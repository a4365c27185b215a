from __future__ import annotations

import torch
from torch import nn

from fo1.regions.pyramid import ChannelNorm, SimpleFP


def test_levels_and_strides() -> None:
    pyramid = SimpleFP(16, out_channels=6)
    levels = pyramid(torch.randn(16, 7, 10))
    assert [tuple(level.shape) for level in levels] == [(6, 28, 40), (6, 14, 20), (6, 7, 10), (6, 3, 5)]
    for level, stride in zip(levels[:3], pyramid.strides, strict=False):
        assert level.shape[1] * stride == 7


def test_each_place_is_normalised_over_its_channels() -> None:
    norm = ChannelNorm(8)
    out = norm(torch.randn(2, 8, 3, 5) * 9 + 4)
    torch.testing.assert_close(out.mean(dim=1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(dim=1, correction=0), torch.ones(2, 3, 5), atol=1e-4, rtol=0)
    with torch.no_grad():
        norm.weight[3], norm.bias[3] = 2.0, 5.0
        again = norm(torch.zeros(1, 8, 1, 1))
    assert again.flatten().tolist() == [0, 0, 0, 5, 0, 0, 0, 0]


def test_plain_convolutions_have_no_bias() -> None:
    for name, module in SimpleFP(16).named_modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is None, name

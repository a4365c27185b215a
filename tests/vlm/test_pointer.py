from __future__ import annotations

import torch

from fo1.vlm.pointer import RegionPointer


def pointer() -> RegionPointer:
    torch.manual_seed(0)
    return RegionPointer(8, rank=4)


def test_shapes_and_dtype() -> None:
    hidden, regions = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    assert pointer()(hidden, regions).shape == (2, 5, 3)
    assert pointer()(hidden, regions[:, :0]).shape == (2, 5, 0)
    half = pointer()(hidden.bfloat16(), regions.bfloat16())
    assert half.dtype == torch.float32


def test_is_gain_times_cosine_plus_bias() -> None:
    point = pointer()
    hidden, regions = torch.randn(1, 8), torch.randn(3, 8)
    query, key = point.query(hidden), point.key(regions)
    expected = torch.cosine_similarity(query, key, dim=-1) * 8.0 - 4.0
    torch.testing.assert_close(point(hidden, regions)[0], expected)


def test_regions_do_not_influence_each_other() -> None:
    point = pointer()
    hidden, regions = torch.randn(4, 8), torch.randn(3, 8)
    alone = torch.cat([point(hidden, region[None]) for region in regions], dim=1)
    torch.testing.assert_close(point(hidden, regions), alone)


def test_half_precision_weights() -> None:
    point = pointer()
    hidden, regions = torch.randn(4, 8), torch.randn(3, 8)
    exact = point(hidden, regions)
    rounded = point.bfloat16()(hidden, regions)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.3, rtol=0)


def test_gradients_reach_everything() -> None:
    point = pointer()
    hidden, regions = torch.randn(4, 8, requires_grad=True), torch.randn(3, 8, requires_grad=True)
    point(hidden, regions).square().sum().backward()
    for tensor in (hidden, regions, *point.parameters()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0

"""A linear layer computed as a convolution is still the same linear layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fo1.encoders.pointwise import PointwiseLinear, as_convolutions


@pytest.mark.parametrize("shape", [(1, 144, 24), (5, 49, 24), (1, 1, 24), (0, 7, 24), (30, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_same_result_and_gradients(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(24, 40, bias)
    model = nn.Sequential(plain)
    as_convolutions(model)
    x = torch.randn(shape, requires_grad=True)
    found, want = model(x), plain(x)
    assert found.shape == want.shape and found.is_contiguous()
    torch.testing.assert_close(found, want)
    (grad,) = torch.autograd.grad(found.square().sum(), x)
    (expected,) = torch.autograd.grad(want.square().sum(), x)
    torch.testing.assert_close(grad, expected)


def test_parameters_and_their_names_stay() -> None:
    class Other(nn.Linear):
        pass

    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(3, 4), nn.GELU()), "b": Other(3, 4)})
    before = dict(model.named_parameters())
    as_convolutions(model)
    assert all(p is before[name] for name, p in model.named_parameters()) and len(before) == 4
    assert type(model["a"][0]) is PointwiseLinear and type(model["b"]) is Other


def test_half_precision_is_left_to_torch() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(24, 40, dtype=torch.bfloat16)
    model = nn.Sequential(plain)
    as_convolutions(model)
    x = torch.randn(1, 9, 24, dtype=torch.bfloat16)
    assert torch.equal(model(x), plain(x))

"""Packed layers compute what plain ones do, whatever happens to their weights."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from fo1.checkpoints.low_rank import attach
from fo1.checkpoints.packed import PackedLinear, pack


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("bias", [True, False])
def test_the_result_is_the_same(dtype: torch.dtype, bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(64, 48, bias).to(dtype)
    packed = PackedLinear(plain)
    with torch.inference_mode():
        for shape in ((1, 64), (2, 5, 64), (40, 64), (1, 0, 64)):
            x = torch.randn(shape, dtype=dtype)
            torch.testing.assert_close(packed(x), plain(x))
    assert packed.state_dict().keys() == plain.state_dict().keys() and packed.weight is plain.weight


def test_changed_weights_are_packed_again() -> None:
    packed = PackedLinear(nn.Linear(16, 8).bfloat16())
    x = torch.randn(3, 16).bfloat16()
    with torch.no_grad():
        before = packed(x)
        packed.weight.mul_(2)
        packed.bias.mul_(2)
        torch.testing.assert_close(packed(x), before * 2)
        packed.weight = nn.Parameter(torch.zeros(8, 16).bfloat16())
        torch.testing.assert_close(packed(x), packed.bias.expand(3, -1))


def test_gradients_flow() -> None:
    packed = PackedLinear(nn.Linear(16, 8).bfloat16())
    with torch.no_grad():
        packed(torch.randn(2, 16).bfloat16())
    packed(torch.randn(2, 16).bfloat16()).sum().backward()
    assert packed.weight.grad is not None and packed.weight.grad.any()


def test_weights_made_without_versions_are_packed() -> None:
    with torch.inference_mode():
        packed = PackedLinear(nn.Linear(16, 8).bfloat16())
        assert packed(torch.ones(1, 16).bfloat16()).shape == (1, 8)


def test_only_plain_layers_are_replaced_and_low_rank_ones_learn_beside_them() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2), nn.ReLU()))
    pack(module)
    assert [type(part) for part in module] == [PackedLinear, nn.Sequential]
    assert isinstance(module[1][0], PackedLinear)
    attach(module, 1)
    assert module(torch.ones(1, 4)).shape == (1, 2)


def test_used_layers_can_be_copied_pickled_and_moved() -> None:
    packed = PackedLinear(nn.Linear(16, 8).bfloat16())
    x = torch.randn(3, 16).bfloat16()
    with torch.no_grad():
        expected = packed(x)
        for again in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
            torch.testing.assert_close(again(x), expected)
        assert packed.packed.weight is not None
        assert packed.float().packed.weight is None
        torch.testing.assert_close(packed(x.float()), expected.float(), atol=0.02, rtol=0.02)


def test_under_autocast_any_input_will_do() -> None:
    plain = nn.Linear(16, 8).bfloat16()
    x = torch.randn(3, 16)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(PackedLinear(plain)(x), plain(x))

from __future__ import annotations

import pytest
import torch
from torch import nn

from fo1.checkpoints.int8 import FEW_ROWS, Int8Linear, quantise


@pytest.mark.parametrize("shape", [(1, 1), (2, FEW_ROWS // 2), (3, FEW_ROWS)], ids=["one", "few", "many"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "plain"])
def test_almost_the_same_numbers(shape: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 32, bias=bias).to(torch.bfloat16)
    x = torch.randn(*shape, 64).to(torch.bfloat16)
    with torch.inference_mode():
        want, got = linear(x).float(), Int8Linear(linear)(x).float()
    assert got.shape == want.shape
    assert (got - want).norm() / want.norm() < 0.02


def test_a_row_of_zeros_stays_zero() -> None:
    linear = nn.Linear(64, 32, bias=False)
    linear.weight.data.zero_()
    assert not Int8Linear(linear)(torch.ones(1, 64)).any()


def test_every_linear_layer_is_replaced_and_smaller() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.ModuleDict({"inner": nn.Linear(64, 64)}), nn.LayerNorm(64))
    quantise(model)
    assert isinstance(model[0], Int8Linear) and isinstance(model[1]["inner"], Int8Linear)
    assert isinstance(model[2], nn.LayerNorm) and model[0].weight.dtype == torch.int8

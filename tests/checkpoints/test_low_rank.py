from __future__ import annotations

import pytest
import torch
from torch import nn

from fo1.checkpoints.low_rank import LowRankLinear, attach, factors, merge, misfits
from fo1.vlm.llama import Llama
from tiny import llama

IDS = torch.tensor([[1, 2, 3, 4]])


def attached() -> Llama:
    """A base whose low-rank updates are no longer zero."""
    base = llama()
    attach(base.model, rank=4)
    torch.manual_seed(1)
    for child in base.modules():
        if isinstance(child, LowRankLinear):
            child.up.data.normal_(0, 0.05)
    return base


def test_fresh_factors_change_nothing() -> None:
    base = llama()
    before = base(IDS).logits
    attach(base.model, rank=4)
    assert torch.equal(base(IDS).logits, before)


def test_every_linear_layer_below_is_replaced_once_and_no_other() -> None:
    base = llama()
    linear = [name for name, m in base.model.named_modules() if isinstance(m, nn.Linear)]
    attach(base.model, rank=4)
    attach(base.model, rank=4)
    assert [name for name, m in base.model.named_modules() if isinstance(m, LowRankLinear)] == linear
    assert isinstance(base.lm_head, nn.Linear)
    assert set(factors(base)) == {f"model.{name}.{f}" for name in linear for f in ("down", "up")}


def test_only_the_factors_are_trained() -> None:
    base = attached()
    base(IDS).logits.sum().backward()
    trained = {name for name, p in base.named_parameters() if p.grad is not None}
    assert trained == set(factors(base))


def test_merged_equals_attached() -> None:
    base, plain = attached(), llama()
    before = plain(IDS).logits
    merge(plain, factors(base))
    torch.testing.assert_close(plain(IDS).logits, base(IDS).logits, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain(IDS).logits, before, atol=1e-2)


def test_merging_into_half_precision_keeps_its_dtype() -> None:
    base, plain = attached(), llama().bfloat16()
    merge(plain, {key: value.half() for key, value in factors(base).items()})
    assert {p.dtype for p in plain.parameters()} == {torch.bfloat16}
    exact = base(IDS).logits.flatten()
    assert torch.cosine_similarity(plain(IDS).logits.float().flatten(), exact, dim=0) > 0.99


def test_misfits() -> None:
    good = {key: value.detach() for key, value in factors(attached()).items()}
    assert misfits(llama(), good) == []
    name = "model.layers.0.mlp.up_proj"
    assert misfits(llama(), {k: v for k, v in good.items() if k != f"{name}.up"}) == [f"missing {name}.up"]
    wide = good | {f"{name}.down": torch.zeros(4, 99)}
    assert misfits(llama(), wide) == [f"{name}: (64, 4) @ (4, 99), not (64, 32)"]
    other_rank = good | {f"{name}.down": torch.zeros(5, 32)}
    assert misfits(llama(), other_rank) == [f"{name}: (64, 4) @ (5, 32), not (64, 32)"]
    elsewhere = {
        "model.layers.7.mlp.up_proj.down": torch.zeros(4, 32),
        "model.layers.7.mlp.up_proj.up": torch.zeros(64, 4),
    }
    assert misfits(llama(), elsewhere) == ["unexpected model.layers.7.mlp.up_proj.down"]
    assert misfits(llama(), {"model.norm.down": torch.zeros(4, 32), "model.norm.up": torch.zeros(32, 4)})


def test_factors_of_a_plain_model() -> None:
    assert factors(llama()) == {}
    with pytest.raises(AttributeError):
        merge(llama(), {"model.nowhere.down": torch.zeros(4, 32), "model.nowhere.up": torch.zeros(32, 4)})

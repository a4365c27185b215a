"""`Llama` computes what transformers' model of the same weights does, packed and copied too."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    DynamicCache,
    GenerationConfig,
    LlamaForCausalLM,
    LogitsProcessorList,
    SuppressTokensLogitsProcessor,
)

from fo1.checkpoints.packed import PackedBeside, pack
from fo1.forest import additive
from fo1.vlm.llama import Llama, LlamaConfig
from tiny import llama, transformers_llama


@pytest.fixture(scope="module")
def both() -> tuple[Llama, LlamaForCausalLM]:
    return llama(), transformers_llama()


def tokens(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (rows, length), generator=torch.Generator().manual_seed(seed))


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_logits(both: tuple[Llama, LlamaForCausalLM]) -> None:
    ids = tokens(2, 12)
    for asked in ({}, {"logits_to_keep": 1}, {"logits_to_keep": torch.tensor([3, 7])}):
        ours, theirs = (model(input_ids=ids, **asked).logits for model in both)
        close(ours, theirs)


def test_a_padded_batch(both: tuple[Llama, LlamaForCausalLM]) -> None:
    ids, real = tokens(2, 12), torch.ones(2, 12, dtype=torch.long)
    real[0, :5] = 0
    positions = (real.cumsum(1) - 1).clamp(min=0)
    ours, theirs = (
        model(input_ids=ids, attention_mask=real, position_ids=positions).logits for model in both
    )
    close(ours[0, 5:], theirs[0, 5:])
    close(ours[1], theirs[1])


def test_masks_are_added(both: tuple[Llama, LlamaForCausalLM]) -> None:
    allowed = torch.eye(9, dtype=torch.bool) | (torch.rand(2, 9, 9) < 0.5)
    inputs: dict[str, Any] = {
        "attention_mask": additive(allowed, torch.float32),
        "position_ids": torch.tensor([[0, 1, 2, 3, 2, 3, 4, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 900]]),
    }
    ours, theirs = (model.base_model(tokens(2, 9), **inputs).last_hidden_state for model in both)
    close(ours, theirs)


def test_keys_and_values_are_kept(both: tuple[Llama, LlamaForCausalLM]) -> None:
    """A beginning, some tokens, and one more, beside all of them at once."""
    ids, caches = tokens(2, 12), [DynamicCache(), DynamicCache()]
    whole = both[0](ids).logits
    for start, end in ((0, 6), (6, 11), (11, 12)):
        ours, theirs = (
            model(input_ids=ids[:, start:end], past_key_values=cache, use_cache=True).logits
            for model, cache in zip(both, caches, strict=True)
        )
        close(ours, theirs)
        close(ours, whole[:, start:end])
    for one, other in zip(caches[0].layers, caches[1].layers, strict=True):
        close(one.keys, other.keys)
        close(one.values, other.values)
    begun = both[0](ids, use_cache=True).past_key_values
    assert begun is not None and begun.get_seq_length() == 12


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_written_text(both: tuple[Llama, LlamaForCausalLM], beams: int, seed: int) -> None:
    """From prompts of two lengths, of which one may end before the other."""
    ids, real = tokens(2, 9, seed), torch.ones(2, 9, dtype=torch.long)
    real[1, :4] = 0
    free = both[1].generate(ids, attention_mask=real, max_new_tokens=10, do_sample=False)
    settings = GenerationConfig(
        max_new_tokens=10,
        num_beams=beams,
        do_sample=False,
        eos_token_id=[257, int(free[0, 12])],
        pad_token_id=0,
    )
    rules = [SuppressTokensLogitsProcessor([int(free[1, 9])])]
    ours, theirs = (
        model.generate(
            ids,
            attention_mask=real,
            generation_config=settings,
            logits_processor=LogitsProcessorList(rules),
        )
        for model in both
    )
    assert torch.equal(ours, theirs)
    assert 10 < ours.shape[1] <= 19


@pytest.mark.parametrize("options", [{"max_length": 14}, {"no_repeat_ngram_size": 1, "max_new_tokens": 5}])
def test_what_greedy_does_not_know_is_left_to_transformers(
    both: tuple[Llama, LlamaForCausalLM], options: dict[str, int]
) -> None:
    settings = GenerationConfig(do_sample=False, eos_token_id=257, pad_token_id=0, **options)
    ours, theirs = (model.generate(tokens(1, 9), generation_config=settings) for model in both)
    assert torch.equal(ours, theirs)


def test_gradients(both: tuple[Llama, LlamaForCausalLM]) -> None:
    """Whether activations are kept or computed anew."""
    found = []
    for model, recompute in ((both[0], False), (both[0], True), (both[1], False)):
        again: Any = copy.deepcopy(model).requires_grad_(True)
        if recompute:
            again.gradient_checkpointing_enable({"use_reentrant": False})
        again(input_ids=tokens(1, 7), use_cache=False).logits.square().mean().backward()
        found.append({name: parameter.grad for name, parameter in again.named_parameters()})
    assert found[0].keys() == found[2].keys()
    for name in found[0]:
        close(found[0][name], found[1][name])
        torch.testing.assert_close(found[0][name], found[2][name], atol=1e-5, rtol=1e-4)


def test_packed_layers_that_read_the_same() -> None:
    plain, packed = llama().bfloat16(), llama().bfloat16()
    pack(packed.get_decoder())
    beside = packed.get_decoder().layers[0].self_attn.beside
    if not isinstance(beside, PackedBeside):
        pytest.skip("this processor has no such kernels")
    ids = tokens(1, 8)
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(packed(ids).logits, plain(ids).logits, atol=0.05, rtol=0.05)
            assert beside.packed.weight is not None
            for model in (plain, packed):
                model.get_parameter("model.layers.0.self_attn.k_proj.weight").mul_(-1)
        again = copy.deepcopy(packed)
        torch.testing.assert_close(again(ids).logits, packed(ids).logits)
        assert packed.float().get_decoder().layers[0].self_attn.beside.packed.weight is None
        torch.testing.assert_close(packed(ids).logits, plain.float()(ids).logits)


@pytest.mark.parametrize(
    "odd",
    [
        {"model_type": "qwen2"},
        {"attention_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
    ],
)
def test_other_models_are_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="known here"):
        LlamaConfig.from_dict({"hidden_size": 8, "num_attention_heads": 2, **odd})


def test_settings_of_older_files_are_read() -> None:
    config = LlamaConfig.from_dict({"hidden_size": 8, "num_attention_heads": 2, "rope_theta": 5e5})
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 5e5} and config.head_size == 4

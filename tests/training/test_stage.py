"""What stages may say, what they train, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from attachable import CASES, NAMES, attached
from fo1.checkpoints import low_rank
from fo1.data.settings import SettingError
from fo1.training.smol.recipe import STAGE_2
from fo1.training.stage import Stage, eyes, optimizer_groups, parameter_groups, table
from fo1.training.tiny import INSTRUCT, tiny_model
from tiny import region_model
from training.scenes import ALIGN


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"save_every": 0}, "save_every must be at least 1"),
        ({"log_every": 0}, "log_every must be at least 1"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"rank": -1}, "rank must be at least 0"),
        ({"words": -0.5}, "words must be at least 0"),
        ({"average": -0.1}, "average must be at least 0"),
        ({"average": 1.0}, "average must be below 1"),
        ({"precision": "float16"}, "known are float32, bfloat16"),
        ({"rates": {}}, "something trained"),
        ({"rates": {"encoder.*": 0.0}}, "must be positive"),
        ({"clip": 0.0}, "must be positive"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=f"stage align.*{message}"):
        replace(ALIGN, **changes)


def test_the_rate_rises_then_falls_to_two_percent() -> None:
    stage = Stage("s", steps=100, rates={"*": 1.0}, warmup=10)
    rates = [stage.schedule(step) for step in range(101)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3]) and rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.51)
    assert rates[100] == pytest.approx(0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert Stage("s", steps=1, rates={"*": 1.0}, warmup=0).schedule(0) == 1


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"encoder.*": 1.0, "encodr.*": 1.0}, "'encodr.*' names no parameter"),
        ({"encoder.*": 1.0, "encoder.connector.*": 1.0}, "patterns before it"),
        ({"language.*.down": 1.0}, "'language.*.down' names no parameter"),
        ({"base.*": 1.0}, "eyes stay frozen"),
        ({"*patch_embed*": 1.0}, "base.model.visual.patch_embed.*eyes stay frozen"),
    ],
)
def test_patterns_that_make_no_sense(rates: Mapping[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parameter_groups(tiny_model().model, replace(ALIGN, rates=rates))


def test_the_first_pattern_that_fits_gives_the_rate_and_the_rest_is_frozen() -> None:
    model = region_model().requires_grad_(True)
    rates = {"splice.pointer.*": 0.1, "splice.*": 0.2}
    pointer, rows = parameter_groups(model, Stage("s", 1, rates))
    assert (pointer.rate, rows.rate) == (0.1, 0.2)
    assert set(pointer.named) == {
        f"splice.pointer.{name}" for name, _ in model.splice.pointer.named_parameters()
    }
    assert set(rows.named) == {"splice.input_rows", "splice.output_rows"}
    assert rows.count == model.splice.input_rows.numel() + model.splice.output_rows.numel()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {*pointer.named, *rows.named}


@pytest.mark.parametrize("name", NAMES)
def test_language_is_the_decoder_wherever_its_family_keeps_it(name: str) -> None:
    model = attached(CASES[name].build()).model
    (group,) = parameter_groups(model, Stage("s", 1, {"language.*": 1e-3}))
    decoder = {id(p) for p in model.base.get_decoder().parameters()}
    assert {id(p) for p in group.named.values()} == decoder


def test_factors_are_put_in_once_and_the_same_each_time() -> None:
    stages = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        model = tiny_model().model
        before = torch.get_rng_state()
        parameter_groups(model, INSTRUCT)
        assert torch.equal(torch.get_rng_state(), before)
        stages.append(low_rank.factors(model.base.get_decoder()))
        parameter_groups(model, replace(INSTRUCT, rank=9))
        assert {len(v) for k, v in stages[-1].items() if k.endswith(".down")} == {INSTRUCT.rank}
    assert all(torch.equal(value, stages[1][name]) for name, value in stages[0].items())
    with pytest.raises(SettingError, match="down"):
        parameter_groups(region_model(classes=4), STAGE_2)  # which puts none in by itself


def test_matrices_decay_and_vectors_do_not() -> None:
    model = region_model()
    stage = Stage("s", 1, {"splice.pointer.*": 0.1, "encoder.*gain": 0.2}, weight_decay=0.03)
    groups = optimizer_groups(parameter_groups(model, stage), stage, dict(model.named_parameters()))
    pointer = model.splice.pointer
    ids = [{id(p) for p in group["params"]} for group in groups]
    assert [(group["lr"], group["initial_lr"], group["weight_decay"]) for group in groups] == [
        (0.1, 0.1, 0.03),
        (0.1, 0.1, 0.0),
        (0.2, 0.2, 0.0),
    ]
    linear = (pointer.query, pointer.phrase, pointer.key)
    assert ids[0] == {id(layer.weight) for layer in linear}
    assert ids[1] == {id(layer.bias) for layer in linear} | {id(pointer.gain), id(pointer.bias)}
    assert ids[2] == {id(model.encoder.connector.gain)}


def test_the_optimiser_gets_what_stands_in_for_the_parameters() -> None:
    """A sharded team puts others in their place, under the same names."""
    model = region_model()
    stage = Stage("s", 1, {"splice.input_rows": 0.1})
    other = torch.nn.Parameter(torch.zeros(2, 2))
    (group,) = optimizer_groups(parameter_groups(model, stage), stage, {"splice.input_rows": other})
    assert group["params"] == [other]


@pytest.mark.parametrize("name", NAMES)
def test_eyes_are_the_base_without_decoder_and_head(name: str) -> None:
    model = attached(CASES[name].build()).model
    seeing = eyes(model)
    words = {id(p) for p in (*model.base.get_decoder().parameters(), *model.base.lm_head.parameters())}
    for found, parameter in model.named_parameters():
        assert (found in seeing) == (found.startswith("base.") and id(parameter) not in words), found
    assert any("vision" in found or "visual" in found for found in seeing)


def test_eyes_in_the_place_of_the_bases() -> None:
    model = region_model()
    assert eyes(model) == {f"primary.{name}" for name, _ in model.primary.named_parameters()}
    with pytest.raises(SettingError, match="primary.mix.*eyes stay frozen"):
        parameter_groups(model, Stage("s", 1, {"primary.*": 1.0}))


def test_what_is_trained_in_low_precision_needs_a_stage_that_says_so() -> None:
    model = tiny_model().model.to(torch.bfloat16)
    with pytest.raises(SettingError, match='load the model in float32, or set precision="bfloat16"'):
        parameter_groups(model, ALIGN)
    groups = parameter_groups(model, replace(ALIGN, precision="bfloat16"))
    assert {p.dtype for group in groups for p in group.named.values()} == {torch.float32}
    assert model.base.get_input_embeddings().weight.dtype == torch.bfloat16


def test_the_table_counts_every_parameter_once() -> None:
    model = region_model()
    stage = Stage("s", 7, {"splice.*_rows": 0.5, "encoder.*": 1e-3}, batch=2, accumulate=3)
    said = table(model, stage, parameter_groups(model, stage)).splitlines()
    assert said[0] == "stage s: 7 steps of 2 × 3 images"
    counts = [int(line.split()[1].replace(",", "")) for line in said[1:]]
    assert [line.split()[0] for line in said[1:]] == ["splice.*_rows", "encoder.*", "frozen"]
    assert sum(counts) == sum(p.numel() for p in model.parameters()) and "lr 0.5" in said[1]

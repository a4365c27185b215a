from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from checkpoints.mini import write_released
from fo1.checkpoints.attached import (
    Parts,
    load_attached_parts,
    make_auxiliary,
    make_encoder,
    make_family,
    save_attached,
)
from fo1.checkpoints.attached_config import (
    AttachedConfig,
    AuxiliaryConfig,
    RegionsConfig,
    VocabularyConfig,
)
from fo1.checkpoints.config import kind_of
from fo1.checkpoints.released import load_parts
from fo1.encoders.davit import DaViT, DaViTConfig
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.errors import CheckpointError, Fo1Error
from fo1.regions.encoder import FusionConfig
from fo1.types import Regions

MINIMAL = '{"format": "fo1", "kind": "attached", "name": "m", "family": "qwen2_5_vl"}'


def test_config_round_trip(tmp_path: Path) -> None:
    config = AttachedConfig(
        "橙子",
        "qwen3_vl",
        base="Qwen/Qwen3-VL-2B-Instruct",
        family_options={"max_side": 100},
        pixels=(100, 20000),
        auxiliary=AuxiliaryConfig("davit", {"dims": [8, 16, 32, 64], "aspect": "squash"}),
        regions=RegionsConfig(FusionConfig("primary", "concat", 64, True), False, 128, 9, 96),
        vocabulary=VocabularyConfig("dynamic", 30),
        chat={"system": None, "after_image": ""},
        temperature=1.5,
    )
    config.write(tmp_path)
    assert AttachedConfig.read(tmp_path) == config
    assert kind_of(tmp_path) == "attached"
    said = json.loads((tmp_path / "config.json").read_text())
    assert said["auxiliary"] == {"kind": "davit", "dims": [8, 16, 32, 64], "aspect": "squash"}
    assert (said["regions"]["fusion"], said["regions"]["bins"]) == ("primary", 9)


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(MINIMAL)
    assert AttachedConfig.read(tmp_path) == AttachedConfig("m", "qwen2_5_vl")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, 'does not say "format": "fo1" and "kind": "attached"'),
        ({"kind": None}, 'does not say "format": "fo1" and "kind": "attached"'),
        ({"name": 3}, "name = 3 is of the wrong kind"),
        ({"colour": 3, "age": 1}, "unknown key colour; unknown key age"),
        ({"regions": {"roi": 7}}, "unknown key regions.roi"),
        ({"regions": {"bins": "7"}}, "regions.bins = '7' is of the wrong kind"),
        ({"regions": {"bins": True}}, "regions.bins = True is of the wrong kind"),
        ({"regions": {"bins": 0}}, "regions.bins = 0; it must be 1 or more"),
        ({"regions": {"fusion": "sum"}}, "regions.fusion = 'sum'; known: concat, mean, primary, auxiliary"),
        ({"regions": {"position": 3}}, "regions.position = 3 is of the wrong kind"),
        ({"regions": []}, r"regions must be an object, not \[\]"),
        ({"vocabulary": {"kind": "open"}}, "vocabulary.kind = 'open'; known: static, dynamic"),
        ({"vocabulary": {"capacity": -1}}, "vocabulary.capacity = -1"),
        ({"pixels": [1]}, r"pixels must be two whole numbers, not \[1\]"),
        ({"pixels": [1, "2"]}, "pixels must be two whole numbers"),
        ({"chat": {"hello": ""}}, "unknown keys chat.hello"),
        ({"auxiliary": {"kind": 1}}, "auxiliary.kind = 1 is of the wrong kind"),
        ({"auxiliary": {"kind": "none"}}, "regions.fusion = 'concat', but there is no auxiliary encoder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**json.loads(MINIMAL), **change}))
    with pytest.raises(CheckpointError, match=message) as caught:
        AttachedConfig.read(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("key", ["name", "family"])
def test_name_and_family_must_be_said(tmp_path: Path, key: str) -> None:
    values = json.loads(MINIMAL)
    del values[key]
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=f"missing {key}"):
        AttachedConfig.read(tmp_path)


@pytest.mark.parametrize("fusion", ["concat", "primary", "auxiliary"])
@pytest.mark.parametrize("position", ["add", "concat", "none"])
@pytest.mark.parametrize("pyramid", [True, False])
def test_every_variant_encodes(fusion: Any, position: Any, pyramid: bool) -> None:
    config = RegionsConfig(FusionConfig(fusion, position, 16), pyramid, 8, 3, 12)
    encoder = make_encoder(config, primary=(16, 32), auxiliary=(8, 24), width=20)
    frame = Frame((64, 64), (64, 64))
    primary = FeatureMaps((torch.randn(16, 8, 8), torch.randn(32, 8, 8)), (8.0, 8.0), frame)
    auxiliary = FeatureMaps((torch.randn(8, 16, 16), torch.randn(24, 8, 8)), (4.0, 8.0), frame)
    regions = Regions.of([[0, 0, 30, 30], [10, 10, 60, 50]], (64, 64))
    with torch.no_grad():
        assert encoder(primary, auxiliary, regions).shape == (2, 20)
    assert encoder.connector.mlp[1].out_features == 12


def test_without_an_auxiliary_encoder() -> None:
    encoder = make_encoder(RegionsConfig(FusionConfig("primary")), primary=(32,), auxiliary=(), width=20)
    assert encoder.auxiliary is None
    assert make_auxiliary(AuxiliaryConfig("none")) is None


def test_a_mean_of_unequal_widths() -> None:
    with pytest.raises(CheckpointError, match="mean fusion needs equal widths, got 2048 and 8"):
        make_encoder(RegionsConfig(FusionConfig("mean")), primary=(16,), auxiliary=(8,), width=20)


def test_auxiliary_encoders() -> None:
    sizes = {"dims": [8, 16, 32, 64], "depths": [1, 1, 1, 1], "heads": [1, 2, 4, 8], "groups": [1, 2, 4, 8]}
    davit = make_auxiliary(AuxiliaryConfig("davit", {**sizes, "aspect": "squash"}))
    assert isinstance(davit, DaViT)
    assert davit.config == DaViTConfig((8, 16, 32, 64), (1, 1, 1, 1), (1, 2, 4, 8), (1, 2, 4, 8))
    assert davit.sizing.aspect == "squash"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AuxiliaryConfig("resnet"), "unknown fo1.encoders 'resnet'"),
        (AuxiliaryConfig("davit", {"colour": 1}), "auxiliary does not describe a davit: .*colour"),
        (AuxiliaryConfig("davit", {"dims": [8, 16]}), "does not describe a davit"),
        (AuxiliaryConfig("davit", {"dims": 3}), "does not describe a davit"),
        (AuxiliaryConfig("davit", {"dims": "large"}), "does not describe a davit"),
        (AuxiliaryConfig("davit-base", {"aspect": "wide"}), "does not describe a davit-base: unknown aspect"),
    ],
)
def test_auxiliary_encoders_that_cannot_be(config: AuxiliaryConfig, message: str) -> None:
    with pytest.raises(Fo1Error, match=message):
        make_auxiliary(config)


def test_an_auxiliary_encoder_with_buffers_of_its_own(parts: Parts, tmp_path: Path) -> None:
    """They are as they were, whether or not a checkpoint stores them."""
    small = AuxiliaryConfig("efficientnet-lite0", {"longest_sides": [64]})
    second = make_auxiliary(small)
    assert second is not None
    encoder = make_encoder(RegionsConfig(), (64, 64), second.channels, 64)
    config = replace(parts.config, auxiliary=small, regions=RegionsConfig())
    save_attached(tmp_path, replace(parts, config=config, auxiliary=second, encoder=encoder))
    loaded = load_attached_parts(tmp_path, torch.float32)
    before, after = weights(second), weights(loaded.auxiliary)
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Parts in float32 with rows of added tokens."""
    loaded = load_parts(write_released(tmp_path_factory.mktemp("released")), torch.float32)
    return replace(loaded, splice={"input_rows": torch.randn(3, 64), "output_rows": torch.randn(3, 64)})


@pytest.fixture
def saved(parts: Parts, tmp_path: Path) -> Path:
    save_attached(tmp_path, parts)
    return tmp_path


def weights(module: nn.Module | None) -> dict[str, torch.Tensor]:
    assert module is not None
    return dict([*module.named_parameters(), *module.named_buffers()])


def test_saved_parts_load_again(parts: Parts, saved: Path) -> None:
    loaded = load_attached_parts(saved, torch.float32)
    assert loaded.config == parts.config
    pairs = [
        (loaded.splice, parts.splice),
        *(
            (weights(getattr(loaded, n)), weights(getattr(parts, n)))
            for n in ("base", "auxiliary", "encoder")
        ),
    ]
    for after, before in pairs:
        assert after.keys() == before.keys()
        assert all(torch.equal(after[key], before[key]) for key in before)
    assert not any(value.requires_grad for value in weights(loaded.base).values())
    assert loaded.processor.tokenizer.get_vocab() == parts.processor.tokenizer.get_vocab()


def test_added_rows_are_never_rounded(saved: Path, parts: Parts) -> None:
    loaded = load_attached_parts(saved, torch.bfloat16)
    assert loaded.encoder.connector.mlp[1].weight.dtype == loaded.base.dtype == torch.bfloat16
    assert torch.equal(loaded.splice["input_rows"], parts.splice["input_rows"])


def test_a_base_kept_elsewhere(parts: Parts, saved: Path, tmp_path: Path) -> None:
    """Where `base` is no folder of the checkpoint, it is a path or a hub id."""
    beside = tmp_path / "beside"
    beside.mkdir()
    config = replace(parts.config, base=str(saved / "base"))
    save_attached(beside, replace(parts, config=config), with_base=False)
    assert sorted(file.name for file in beside.iterdir()) == [
        "auxiliary.safetensors",
        "config.json",
        "encoder.safetensors",
        "splice.safetensors",
    ]
    assert torch.equal(
        load_attached_parts(beside, torch.float32).base.lm_head.weight, parts.base.lm_head.weight
    )


def test_damage_is_named(saved: Path) -> None:
    (saved / "encoder.safetensors").rename(saved / "away")
    with pytest.raises(CheckpointError, match="has no encoder.safetensors"):
        load_attached_parts(saved, torch.float32)
    state = load_file(saved / "away")
    state["connector.mlp.1.bias"] = torch.zeros(3)
    state["extra"] = torch.zeros(3)
    save_file(state, saved / "encoder.safetensors")
    with pytest.raises(
        CheckpointError, match=r"unexpected extra; connector.mlp.1.bias is \(3,\), not \(64,\)"
    ):
        load_attached_parts(saved, torch.float32)
    base = saved / "base" / "model.safetensors"
    base.write_bytes(base.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="the base model .* does not load"):
        load_attached_parts(saved, torch.float32)


def test_a_base_of_another_family(saved: Path, parts: Parts) -> None:
    replace(parts.config, family="qwen2_vl", family_options={}).write(saved)
    with pytest.raises(CheckpointError, match="the base is a qwen2_5_vl, not a qwen2_vl"):
        load_attached_parts(saved, torch.float32)


def test_family_options_that_it_does_not_take(parts: Parts) -> None:
    config = replace(parts.config, family_options={"colour": 1})
    with pytest.raises(CheckpointError, match="family_options do not suit qwen2_5_vl"):
        make_family(config, parts.base, None)

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fo1.checkpoints import low_rank
from fo1.checkpoints.bundled import PLUGIN
from fo1.checkpoints.updating import Updating
from tiny import llama, transformers_llama

LAYER = "model.layers.1.mlp.up_proj"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A native checkpoint with an update of one layer, and its base where bases are."""
    monkeypatch.setenv("FO1_HOME", str(tmp_path))
    transformers_llama().save_pretrained(tmp_path / "bases" / "smollm2-135m-instruct")
    made = tmp_path / "made"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"format": "fo1", "name": "made"}))
    factors = {f"base.{LAYER}.down": torch.randn(3, 32), f"base.{LAYER}.up": torch.randn(64, 3)}
    save_file(factors | {"encoder.x": torch.zeros(1)}, made / PLUGIN)
    return made


def test_the_update_is_merged_as_the_loader_would(folder: Path) -> None:
    (merged,) = Updating(folder, torch.bfloat16).weights().items()
    assert merged[0] == f"{LAYER}.weight"
    stored = {key.removeprefix("base."): value for key, value in load_file(folder / PLUGIN).items()}
    del stored["encoder.x"]
    alone, given = llama().to(torch.bfloat16), llama().to(torch.bfloat16)
    low_rank.merge(alone, stored)
    low_rank.merge(given, stored, dict([merged]))
    for (name, one), other in zip(alone.named_parameters(), given.parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, llama().to(torch.bfloat16).get_parameter(name)) == (name != merged[0])


@pytest.mark.parametrize("file", ["config.json", "plugin.safetensors"])
def test_what_cannot_be_read_is_for_the_loader_to_tell(folder: Path, file: str) -> None:
    (folder / file).write_bytes(b"nonsense")
    assert Updating(folder, torch.float32).weights() == {}


def test_a_base_that_is_not_there_yet(folder: Path) -> None:
    (folder.parent / "bases" / "smollm2-135m-instruct" / "model.safetensors").unlink()
    assert Updating(folder, torch.float32).weights() == {}

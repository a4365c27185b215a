from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fo1.checkpoints.base import load_base
from fo1.errors import CheckpointError
from tiny import byte_tokenizer, llama


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    llama().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def test_load_base(saved: Path) -> None:
    model, tokenizer = load_base(saved, torch.bfloat16)
    assert model.dtype == torch.bfloat16 and not model.training
    assert tokenizer.decode(tokenizer("橙子").input_ids) == "橙子"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("kept", [None, 100], ids=["missing", "truncated"])
def test_a_damaged_base(saved: Path, name: str, kept: int | None) -> None:
    content = (saved / name).read_bytes()
    (saved / name).unlink()
    if kept is not None:
        (saved / name).write_bytes(content[:kept])
    with pytest.raises(CheckpointError, match=r"does not load: .*delete the folder to fetch it anew"):
        load_base(saved, torch.float32)

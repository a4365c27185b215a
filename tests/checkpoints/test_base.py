from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from fo1.checkpoints.base import load_base
from fo1.errors import CheckpointError
from tiny import byte_tokenizer, transformers_llama


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    transformers_llama().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def test_load_base(saved: Path) -> None:
    model, tokenizer = load_base(saved, torch.bfloat16)
    assert model.dtype == torch.bfloat16 and not model.training
    assert tokenizer.decode(tokenizer("橙子").input_ids) == "橙子"


def test_the_tokenizer_is_the_one_that_transformers_loads(saved: Path) -> None:
    (saved / "chat_template.jinja").write_text("{{ messages[0].content }}<|im_end|>")
    (_, ours), theirs = load_base(saved, torch.float32), AutoTokenizer.from_pretrained(saved)
    for text in ("a cup, 橙子", "<|im_start|>user\nhi<|im_end|>", ""):
        for options in ({}, {"split_special_tokens": True}):
            assert ours(text, **options).input_ids == theirs(text, **options).input_ids
    assert ours.special_tokens_map == theirs.special_tokens_map and ours.get_vocab() == theirs.get_vocab()
    assert ours.added_tokens_decoder == theirs.added_tokens_decoder
    turns = [{"role": "user", "content": "hi"}]
    assert ours.apply_chat_template(turns, tokenize=False) == "hi<|im_end|>"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("kept", [None, 100], ids=["missing", "truncated"])
def test_a_damaged_base(saved: Path, name: str, kept: int | None) -> None:
    content = (saved / name).read_bytes()
    (saved / name).unlink()
    if kept is not None:
        (saved / name).write_bytes(content[:kept])
    with pytest.raises(CheckpointError, match=r"does not load: .*delete the folder to fetch it anew"):
        load_base(saved, torch.float32)

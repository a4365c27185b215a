from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fo1.checkpoints.shards import INDEX, SINGLE, Shards, misfits, shortened, write_shards
from fo1.errors import CheckpointError

STATE = {
    "a": torch.arange(6.0).view(2, 3),
    "b": torch.ones(4, dtype=torch.bfloat16),
    "c": torch.full((5,), 0.1, dtype=torch.float16),
}


def sizes(state: dict[str, Tensor]) -> dict[str, int]:
    return {key: value.nbytes for key, value in state.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three shards, a tensor each."""
    write_shards(tmp_path, sizes(STATE), STATE.__getitem__, limit=1)
    return tmp_path


@pytest.mark.parametrize(("limit", "files"), [(1, 3), (32, 2), (1 << 20, 1)])
def test_what_is_written_is_read(tmp_path: Path, limit: int, files: int) -> None:
    write_shards(tmp_path, sizes(STATE), STATE.__getitem__, limit)
    assert len(list(tmp_path.glob("*.safetensors"))) == files
    assert (tmp_path / INDEX).is_file() == (files > 1)
    shards = Shards.of_folder(tmp_path)
    assert {key: (one.shape, one.dtype, one.bytes) for key, one in shards.items()} == {
        "a": ((2, 3), "F32", 24),
        "b": ((4,), "BF16", 8),
        "c": ((5,), "F16", 10),
    }
    for key, value in shards.read(STATE):
        assert value.dtype == STATE[key].dtype and torch.equal(value, STATE[key])
        assert torch.equal(shards.load(key), STATE[key])


def test_files_are_as_readable_as_their_folder(folder: Path) -> None:
    folder.chmod(0o755)
    write_shards(folder, sizes(STATE), STATE.__getitem__)
    assert (folder / SINGLE).stat().st_mode & 0o777 == 0o644


def test_the_file_may_go_once_a_tensor_is_read(folder: Path) -> None:
    value = Shards.of_folder(folder).load("a")
    for file in folder.iterdir():
        file.unlink()
    assert torch.equal(value, STATE["a"])


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match="lacks shards .* model-00002-of-00003.safetensors"):
        Shards.of_folder(folder)


@pytest.mark.parametrize("size", [0, 5, 60, -1])
def test_a_truncated_shard_is_named(folder: Path, size: int) -> None:
    file = folder / "model-00001-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="model-00001-of-00003.safetensors is truncated or damaged"):
        Shards.of_folder(folder)


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model.safetensors"):
        Shards.of_folder(tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object, not a list"),
        ("{}", "needs a weight_map"),
        ('{"weight_map": {"a": 3}}', "needs a weight_map"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "needs a weight_map"),
    ],
)
def test_a_wrong_index(tmp_path: Path, index: str, message: str) -> None:
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(CheckpointError, match=message):
        Shards.of_folder(tmp_path)


def test_an_index_that_describes_other_shards(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["d"] = index["weight_map"].pop("a")
    index["weight_map"]["b"] = index["weight_map"]["c"]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="does not describe the shards; a; b; d"):
        Shards.of_folder(folder)


def test_a_tensor_in_two_files(tmp_path: Path) -> None:
    for name in ("x", "y"):
        save_file({"a": STATE["a"]}, tmp_path / name)
    with pytest.raises(CheckpointError, match="a is in both"):
        Shards([tmp_path / "x", tmp_path / "y"])


def test_misfits(folder: Path) -> None:
    state = load_file(folder / "model-00001-of-00003.safetensors") | {
        "n": torch.zeros(2, dtype=torch.int64),
        "extra": torch.zeros(1),
    }
    save_file(state, folder / "other")
    wrong = misfits(
        Shards([folder / "other"]), {"a": torch.ones(3, 2), "n": torch.ones(2), "z": torch.ones(1)}
    )
    assert wrong == [
        "missing z",
        "unexpected extra",
        "a is (2, 3), not (3, 2)",
        "n is of type I64, not a floating-point number",
    ]
    assert (
        misfits(Shards([folder / "other"]), {"a": STATE["a"], "n": state["n"], "extra": state["extra"]}) == []
    )


def test_long_lists_are_cut() -> None:
    assert shortened(["a", "b"]) == "a; b"
    assert shortened([str(i) for i in range(30)], most=2) == "0; 1; and 28 more"

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fo1.training.smol import records as module
from fo1.training.smol.recipe import load_folder
from fo1.training.smol.records import FIELDS, SceneRecord, load_records, save_records
from training.miniature import record

SQUARE, WIDE = [0.1, 0.1, 0.4, 0.5], [0.2, 0.6, 0.9, 0.8]
WHOLE = record(["cat", "dog"], [SQUARE, WIDE], [SQUARE, WIDE, [0.1, 0.2, 0.4, 0.6]], ["tree"], seed=1)
OTHER = record(["sheep"], [WIDE], [SQUARE, [0.2, 0.6, 0.8, 0.8], WIDE], seed=5)
NAMELESS = record([], [], [SQUARE, WIDE], seed=2)
REGIONLESS = record(["cup"], [SQUARE], [], seed=3)
NOTHING = record([], [], [], ["sea"], seed=4)


def same(one: SceneRecord, other: SceneRecord) -> None:
    assert other.features.recalled is None
    for field in FIELDS:
        a, b = getattr(one.features, field), getattr(other.features, field)
        assert b.shape == a.shape
        torch.testing.assert_close(b.float(), a, rtol=1e-3, atol=1e-3)
    assert (other.names, other.uncertain, other.count) == (one.names, one.uncertain, one.count)
    assert other.overlap.shape == one.overlap.shape and other.overlap.dtype == torch.float32
    torch.testing.assert_close(other.overlap, one.overlap, rtol=1e-3, atol=1e-3)
    assert torch.equal(other.objects, one.objects)


def test_a_shard_keeps_every_scene_even_without_names_or_regions(tmp_path: Path) -> None:
    given = [NAMELESS, WHOLE, NOTHING, REGIONLESS, OTHER, WHOLE, NAMELESS]
    save_records(given, tmp_path / "a.safetensors")
    loaded = list(load_records(tmp_path / "a.safetensors"))
    assert len(loaded) == len(given)
    for one, other in zip(given, loaded, strict=True):
        same(one, other)
    assert loaded[1].features.primary.dtype == torch.float16
    assert [one.half for one in loaded] == [0, 1, 0, 1, 0, 1, 0]


def test_a_folder_is_read_shard_by_shard_in_order(tmp_path: Path) -> None:
    save_records([REGIONLESS], tmp_path / "000100.safetensors")
    save_records([WHOLE, NAMELESS], tmp_path / "000000.safetensors")
    (tmp_path / "000200.partial").write_bytes(b"half a shard")
    assert [r.names for r in load_folder(tmp_path)] == [WHOLE.names, (), REGIONLESS.names]
    assert load_folder(tmp_path / "nowhere") == []


def test_count_leaves_the_whole_image_out() -> None:
    assert (WHOLE.count, NOTHING.count) == (3, 0)
    assert len(WHOLE.features) == 4


def test_a_write_that_fails_leaves_the_old_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_records([WHOLE], path)

    def fails(tensors: dict[str, torch.Tensor], to: Path, metadata: dict[str, str]) -> None:
        save_file({"overlap": tensors["overlap"]}, to)
        raise OSError("disk full")

    monkeypatch.setattr(module, "save_file", fails)
    with pytest.raises(OSError, match="disk full"):
        save_records([NAMELESS], path)
    (kept,) = load_records(path)
    same(WHOLE, kept)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fo1.boxes import iou
from fo1.model import RegionModel
from fo1.training.smol import features as module
from fo1.training.smol.features import encode_scene, encode_scenes, mixed_regions
from fo1.training.smol.records import load_records
from fo1.types import Regions
from tiny import BOXES, region_model
from training.miniature import SIZE, Painted, painted

PROPOSED = Regions.of([[i, i, i + 20, i + 15] for i in range(0, 40, 4)], SIZE, np.linspace(0.9, 0.1, 10))
OBJECTS = np.array([[0, 0, 40, 30], [50, 20, 80, 60]], dtype=np.float32)


@pytest.fixture(scope="module")
def model() -> RegionModel:
    return region_model()


def test_the_best_proposals_and_in_half_of_the_scenes_the_objects() -> None:
    counts = []
    for seed in range(100):
        regions = mixed_regions(PROPOSED, OBJECTS, 6, np.random.default_rng(seed))
        counts.append(len(regions))
        np.testing.assert_array_equal(regions.xyxy[:6], PROPOSED.xyxy[:6])
        assert regions.image_size == SIZE
        if len(regions) > 6:
            drawn = regions.xyxy[6:]
            assert (iou(drawn, OBJECTS).diagonal() > 0.6).all()
            assert (drawn >= 0).all() and (drawn <= [*SIZE, *SIZE]).all()
            assert (drawn != OBJECTS).any(), "drawn boxes are never exact"
    assert set(counts) == {6, 8} and 30 < counts.count(8) < 70


def test_without_objects_only_proposals() -> None:
    nothing = np.zeros((0, 4), dtype=np.float32)
    for seed in range(10):
        assert len(mixed_regions(PROPOSED, nothing, 99, np.random.default_rng(seed))) == len(PROPOSED)
        assert len(mixed_regions(Regions.empty(SIZE), nothing, 5, np.random.default_rng(seed))) == 0


def test_a_record_says_what_the_model_would_see(model: RegionModel) -> None:
    scene = painted(1)
    record = encode_scene(model, scene, 4, np.random.default_rng(1))
    regions = mixed_regions(model.propose([scene.image], [])[0], scene.boxes, 4, np.random.default_rng(1))
    (encoded,) = model.encode([scene.image], [regions])
    embedded = model.encoder.embed(record.features)
    torch.testing.assert_close(embedded[:-1], encoded.embeddings)
    torch.testing.assert_close(embedded[-1:], encoded.image_tokens)
    assert record.count == len(regions) and record.names == scene.names
    np.testing.assert_allclose(record.overlap.numpy(), iou(regions.xyxy, scene.boxes))
    np.testing.assert_allclose(record.objects.numpy() * [*SIZE, *SIZE], scene.boxes, rtol=1e-5)
    assert record.features.boxes[-1].tolist() == [0, 0, 1, 1]


def test_what_is_there_without_a_box_is_uncertain(model: RegionModel) -> None:
    one = painted(1)
    scene = Painted(one.image, one.boxes, one.names, ("sea", "sky"))
    assert encode_scene(model, scene, 4, np.random.default_rng(0)).uncertain == ("sea", "sky")


def test_a_scene_of_nothing_can_be_encoded(model: RegionModel) -> None:
    scene = Painted(painted(0).image, np.zeros((0, 4), dtype=np.float32), ())
    record = encode_scene(model, scene, 3, np.random.default_rng(0))
    assert record.overlap.shape == (3, 0) and record.objects.shape == (0, 4)


def test_shards_are_written_once_and_missing_ones_made(
    model: RegionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARD", 3)
    there = tmp_path / "train" / "000003.safetensors"
    there.parent.mkdir()
    there.write_bytes(b"done before")
    encode_scenes(model, painted, 7, there.parent, limit=6, first=0)
    names = sorted(path.name for path in there.parent.iterdir())
    assert names == ["000000.safetensors", "000003.safetensors", "000006.safetensors"]
    assert there.read_bytes() == b"done before"
    first, last = (list(load_records(there.parent / names[i])) for i in (0, 2))
    assert [r.names for r in first] == [painted(i).names for i in range(3)]
    assert [r.names for r in last] == [painted(6).names]


def test_work_shared_out_gives_the_same_shards(
    model: RegionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARD", 2)
    encode_scenes(model, painted, 4, tmp_path / "whole")
    encode_scenes(model, painted, 2, tmp_path / "parts", first=2)
    encode_scenes(model, painted, 2, tmp_path / "parts", first=0)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes()


def test_the_stub_proposes_where_objects_are(model: RegionModel) -> None:
    scene = painted(0)
    (proposed,) = model.propose([scene.image], [])
    assert len(proposed) == len(BOXES)
    assert (iou(proposed.xyxy, scene.boxes).max(axis=0) > 0.99).all()

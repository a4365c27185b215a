from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from attachable import NAMES
from fo1 import FO1, Fo1Error, SceneError
from fo1.model import RegionModel
from fo1.pipeline import FO1 as Loaded
from fo1.scene import Scene
from fo1.settings import Settings
from readers import KINDS, QUESTIONS, reader
from tiny import picture, region_model


def loaded(model: RegionModel, name: str = "tiny") -> FO1:
    return Loaded(model, Settings(name, threshold=0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_scene_gives_the_same_answers(kind: str, tmp_path: Path) -> None:
    model, (image, _) = reader(kind)
    fo1 = loaded(model)
    scene = Scene(model, fo1.settings, image, {})
    scene.save(tmp_path / "scene.safetensors")
    again = fo1.restore(tmp_path / "scene.safetensors")
    for question in QUESTIONS[:2]:
        assert again.ask(question, 8) == scene.ask(question, 8)
    found, same = (one.detect("cup, <region1>", threshold=0.0) for one in (scene, again))
    assert found.answer == same.answer
    for label, scores in found.confidence.items():
        np.testing.assert_allclose(scores, same.confidence[label], atol=1e-5)
    assert (
        again.encoded.sight.ids == image.sight.ids
        and again.encoded.sight.maps.frame == image.sight.maps.frame
    )
    assert (kind in NAMES) == (again.encoded.sight.outputs is not None)


def test_boxes_scores_and_names_come_back(tiny_fo1: FO1, tmp_path: Path) -> None:
    scene = tiny_fo1.look(picture(0))
    scene.save(tmp_path / "scene")
    regions = tiny_fo1.restore(str(tmp_path / "scene")).regions
    for mine, theirs in ((scene.regions.xyxy, regions.xyxy), (scene.regions.scores, regions.scores)):
        np.testing.assert_array_equal(mine, theirs)
    assert regions.image_size == (80, 60) and regions.labels == scene.regions.labels


def test_an_image_without_regions(tiny_fo1: FO1, tmp_path: Path) -> None:
    tiny_fo1.look(picture(0), boxes=[]).save(tmp_path / "scene")
    again = tiny_fo1.restore(tmp_path / "scene")
    assert not len(again.regions) and again.detect("cup").absent == ("cup",)


def test_a_scene_of_other_weights_is_refused(tmp_path: Path) -> None:
    model, (image, _) = reader("static")
    Scene(model, Settings("first"), image, {}).save(tmp_path / "scene")
    changed = region_model(dynamic=False)
    changed.splice.input_rows.data += 1
    with pytest.raises(SceneError, match="saved with 'first', and 'second' has other weights"):
        loaded(changed, "second").restore(tmp_path / "scene")
    with pytest.raises(SceneError, match="number format"):
        loaded(region_model(dynamic=False).to(torch.bfloat16)).restore(tmp_path / "scene")


def test_what_is_no_scene_is_refused(tiny_fo1: FO1, tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    with pytest.raises(SceneError, match="there is no file"):
        tiny_fo1.restore(scene)
    scene.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(SceneError, match="is broken or no saved scene"):
        tiny_fo1.restore(scene)
    save_file({"boxes": torch.zeros(1)}, scene)
    with pytest.raises(SceneError, match="no scene that this version can read"):
        tiny_fo1.restore(scene)
    tiny_fo1.look(picture(0)).save(scene)
    scene.write_bytes(scene.read_bytes()[:-100])
    with pytest.raises(Fo1Error, match="is broken"):
        tiny_fo1.restore(scene)
    with pytest.raises(SceneError, match="cannot be written"):
        tiny_fo1.look(picture(0)).save(tmp_path / "missing" / "scene")

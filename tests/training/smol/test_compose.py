from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from PIL import Image

from fo1.training.smol import compose as module
from fo1.training.smol.assets import AssetError, Catalogue, visible_box
from fo1.training.smol.backdrops import receding
from fo1.training.smol.compose import SceneComposer
from fo1.training.smol.names import held_out, siblings
from fo1.training.smol.patches import Pose, posed
from training.scenery import shape, tiny_catalogue

HELD_OUT = next(name for name in siblings("hammer") if held_out(name))
SCENES = 24


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return tiny_catalogue(tmp_path_factory.mktemp("cutouts"), HELD_OUT)


def test_a_scene_depends_on_seed_and_index_only(catalogue: Catalogue) -> None:
    first = SceneComposer(catalogue, seed=3)
    first.compose(0)
    scene = first.compose(7)
    again = pickle.loads(pickle.dumps(SceneComposer(catalogue, seed=3))).compose(7)
    assert np.array_equal(np.asarray(scene.image), np.asarray(again.image))
    assert np.array_equal(scene.boxes, again.boxes) and scene.names == again.names
    other = SceneComposer(catalogue, seed=4).compose(7)
    assert scene.image.size != other.image.size or scene.image.tobytes() != other.image.tobytes()


def test_boxes_lie_in_the_image_and_belong_to_names(catalogue: Catalogue) -> None:
    composer = SceneComposer(catalogue, seed=1)
    for index in range(SCENES):
        scene = composer.compose(index)
        width, height = scene.image.size
        assert scene.boxes.shape == (len(scene.names), 4) and scene.boxes.dtype == np.float32
        assert len(scene.visible) == len(scene.attributes) == len(scene.names)
        if len(scene.boxes):
            assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= (width, height)).all()
            assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
            assert min(scene.visible) >= module.MIN_VISIBLE


def test_boxes_are_tight_around_what_is_seen(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """On plain white, without shadow or degradation, the picture itself tells where a lone object is."""
    monkeypatch.setattr(module, "photographed", lambda image, rng: image)
    monkeypatch.setattr(module.patches, "recoloured", lambda patch, rng, around, flat: patch)
    monkeypatch.setattr(module.patches, "shadow_of", lambda patch, rng, s: (Image.new("L", (1, 1)), (0, 0)))
    composer = SceneComposer(catalogue, seed=2)
    monkeypatch.setattr(composer, "_add_distractor", lambda canvas, rng: None)
    white = module.Backdrop(Image.new("RGB", (640, 480), "white"), 0.0, ())
    monkeypatch.setattr(composer._backdrops, "draw", lambda rng, size: white)
    monkeypatch.setattr(module, "SIZES", ((640, 480),))
    checked = 0
    for index in range(40):
        scene = composer.compose(index)
        if len(scene.names) != 1 or scene.present:
            continue
        ink = 255 - np.asarray(scene.image).min(axis=2)
        box = visible_box(ink.astype(np.uint8), threshold=60)
        assert box is not None and np.abs(np.array(box) - scene.boxes[0]).max() <= 3
        checked += 1
    assert checked >= 5


def test_a_covered_object_is_not_labelled_but_present() -> None:
    canvas = module._Canvas(Image.new("RGB", (100, 100)), np.zeros((100, 100), np.uint8))
    below = module.Cutout("", "apple", (), "", "photo", "", "train")
    above = module.Cutout("", "orange", (), "", "photo", "", "train")
    square = Image.new("RGBA", (40, 40), (255, 0, 0, 255))
    for number, (cutout, spot) in enumerate([(below, (10, 10)), (above, (18, 18))], start=1):
        canvas.placed.append((cutout, 1600))
        module._paste(canvas, square, spot, owner=number)
    both = module._finished(canvas, default_rng(0))
    assert both.names == ["apple", "orange"]
    assert both.boxes.tolist() == [[10, 10, 50, 50], [18, 18, 58, 58]]
    assert both.visible[0] == pytest.approx(1 - 32 * 32 / 1600) and both.visible[1] == 1
    module._paste(canvas, square, (12, 12), owner=2)
    covered = module._finished(canvas, default_rng(0))
    assert covered.names == ["orange"] and "apple" in covered.present


def test_held_out_names_never_reach_training(catalogue: Catalogue) -> None:
    train = SceneComposer(catalogue, seed=5)
    for index in range(SCENES):
        scene = train.compose(index)
        assert HELD_OUT not in scene.names and HELD_OUT not in scene.present
    unseen = SceneComposer(catalogue, seed=5, split="held_out")
    assert any(HELD_OUT in unseen.compose(index).names for index in range(10))


def test_validation_uses_its_own_cutouts(catalogue: Catalogue) -> None:
    composer = SceneComposer(catalogue, seed=5, split="val")
    paths = {c.path for pool in composer._pools for cutouts in pool._of_name.values() for c in cutouts}
    assert paths == {c.path for c in catalogue.cutouts if c.split == "val"}


def test_some_scenes_have_something_to_count(catalogue: Catalogue) -> None:
    composer = SceneComposer(catalogue, seed=9)
    most = [max(Counter(composer.compose(i).names).values(), default=0) for i in range(SCENES)]
    assert sum(m >= 2 for m in most) >= SCENES // 4
    assert sum(m == 1 for m in most) >= SCENES // 8


def test_background_things_are_present(catalogue: Catalogue) -> None:
    composer = SceneComposer(catalogue, seed=1)
    assert any("flower" in composer.compose(index).present for index in range(SCENES))


def test_an_empty_split_says_so(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="held_out"):
        SceneComposer(Catalogue(tmp_path, catalogue.cutouts[:1], ()), seed=0, split="held_out")


def test_a_folder_without_catalogue_names_the_script(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="fetch_assets"):
        Catalogue.load(tmp_path)


def test_pose_sets_the_longest_side() -> None:
    image = posed(shape("bar", (9, 9, 9)), Pose(side=200, stretch=1.0, angle=0, mirrored=False))
    assert image.width == 200 and image.height == pytest.approx(200 * 41 / 96, abs=1)


def test_the_far_edge_shows_the_whole_surface() -> None:
    source = Image.new("RGB", (300, 80), "white")
    source.paste((255, 0, 0), (0, 0, 6, 80))
    ground = np.asarray(receding(source, 3.0, (100, 80)))
    assert ground[0, 0, 1] < 128 and ground[40, 0, 1] > 128
    assert ground.reshape(-1, 3).max(axis=1).min() > 100  # no black corners

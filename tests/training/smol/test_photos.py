from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fo1.training.smol.names import held_out, siblings
from fo1.training.smol.photos import LabelledPhoto, labelled_photos

HELD_OUT = next(name for name in siblings("hammer") if held_out(name))
LABELS = {
    "room.png": {
        "objects": [["cup", 0.1, 0.2, 0.3, 0.6], ["chair", 0.5, 0.0, 1.0, 1.0]],
        "present": ["table"],
    },
    "absent.png": {"objects": [["cup", 0.0, 0.0, 1.0, 1.0]], "present": []},
    "sea.png": {"objects": [], "present": ["sea"]},
    "tools.png": {
        "objects": [[HELD_OUT, 0.0, 0.0, 0.5, 0.5], ["hammer", 0.5, 0.5, 1.0, 1.0]],
        "present": ["saw", HELD_OUT],
    },
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledPhoto]:
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("room.png", "sea.png", "tools.png")):
        noise = np.random.default_rng(number).integers(0, 256, (100, 200, 4), dtype=np.uint8)
        Image.fromarray(noise, "RGBA").save(folder / name)
    (folder / "unlabelled.png").write_bytes(b"not even a picture")
    return list(labelled_photos(folder, LABELS))


def test_every_photo_that_is_there_and_its_mirror_image(photos: list[LabelledPhoto]) -> None:
    assert [list(p.names) for p in photos] == [["cup", "chair"]] * 2 + [[]] * 2 + [["hammer"]] * 2
    assert all(p.image.mode == "RGB" and p.image.size == (200, 100) for p in photos)


def test_boxes_are_pixels(photos: list[LabelledPhoto]) -> None:
    np.testing.assert_allclose(photos[0].boxes, [[20, 20, 60, 60], [100, 0, 200, 100]], rtol=1e-5)
    assert all(p.boxes.dtype == np.float32 and p.boxes.shape == (len(p.names), 4) for p in photos)


def test_a_mirrored_box_holds_the_mirrored_pixels(photos: list[LabelledPhoto]) -> None:
    for photo, mirror in zip(photos[::2], photos[1::2], strict=True):
        assert list(photo.present) == list(mirror.present)
        for box, other in zip(photo.boxes, mirror.boxes, strict=True):
            pixels = np.asarray(photo.image.crop(tuple(box.round().astype(int))))
            mirrored = np.asarray(mirror.image.crop(tuple(other.round().astype(int))))
            np.testing.assert_array_equal(pixels[:, ::-1], mirrored)


def test_a_held_out_thing_loses_its_box_and_is_merely_present(photos: list[LabelledPhoto]) -> None:
    tools = photos[4]
    np.testing.assert_allclose(tools.boxes, [[100, 50, 200, 100]])
    assert list(tools.present) == ["saw", HELD_OUT]

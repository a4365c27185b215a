from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fo1.training.smol import signs
from fo1.training.smol.signs import written_scene

WORDS = ("OPEN", "juice", "tea", "Bakery")


def test_the_seed_decides_the_scene() -> None:
    one, same, other = (written_scene(WORDS, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.words == same.words and one.image.tobytes() == same.image.tobytes()
    np.testing.assert_array_equal(one.boxes, same.boxes)
    assert one.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("seed", range(12))
def test_boxes_are_exact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ink of a colour of its own, on a picture that nothing was done to, lies just inside the boxes."""
    red = (255, 0, 0)
    monkeypatch.setattr(signs, "photographed", lambda image, rng: image)
    monkeypatch.setattr(signs, "gradient", lambda rng, size: Image.new("RGB", size, (0, 0, 255)))
    monkeypatch.setattr(signs, "_colour", lambda rng, between: red)
    monkeypatch.setattr(signs, "_board", lambda rng, size: Image.new("RGBA", size, (0, 0, 255, 255)))
    scene = written_scene(WORDS, np.random.default_rng(seed))
    assert 1 <= len(scene.words) == len(set(scene.words)) == len(scene.boxes) <= signs.MOST
    inked = np.asarray(scene.image)[..., 0] >= signs.INKED
    for x1, y1, x2, y2 in scene.boxes.astype(int):
        inside = inked[y1:y2, x1:x2]
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        inked[y1:y2, x1:x2] = False
    assert not inked.any()


def test_boxes_are_inside_and_apart() -> None:
    for seed in range(20):
        scene = written_scene(WORDS, np.random.default_rng(seed))
        width, height = scene.image.size
        assert (scene.boxes >= 0).all() and (scene.boxes <= [width, height, width, height]).all()
        assert (scene.boxes[1:, 1] >= scene.boxes[:-1, 3]).all()
        assert (scene.boxes[:, 2:] - scene.boxes[:, :2] >= 8).all(), "large enough to be read"

"""`draw`: what is on the picture, and that nothing odd breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.drawing import colours_of, draw

SIZE = (320, 240)


def drawn(
    *found: Detection, size: tuple[int, int] = SIZE, box_size: tuple[int, int] | None = None
) -> np.ndarray:
    picture = draw(Image.new("RGB", size), Detections.of(found, box_size or size))
    assert picture.size == size and picture.mode == "RGB"
    return np.asarray(picture)


def test_the_image_is_not_changed_and_nothing_found_draws_nothing() -> None:
    image = Image.new("RGB", SIZE, (1, 2, 3))
    before = image.tobytes()
    assert draw(image, Detections.empty(SIZE)).tobytes() == before
    draw(image, Detections.of([Detection("a", (10, 10, 50, 50))], SIZE))
    assert image.tobytes() == before


def test_the_outline_has_the_label_colour_and_lies_on_the_box() -> None:
    pixels = drawn(Detection("cat", (100, 80, 200, 180)))
    colour = colours_of(("cat",))["cat"]
    for x, y in ((100, 130), (200, 130), (150, 180)):
        assert tuple(pixels[y, x]) == colour
    assert not pixels[:, :90].any() and not pixels[190:].any()


def test_boxes_are_scaled_to_the_image() -> None:
    small = drawn(Detection("cat", (50, 40, 100, 90)), size=(320, 240), box_size=(160, 120))
    assert np.array_equal(small, drawn(Detection("cat", (100, 80, 200, 180))))


def test_labels_have_colours_of_their_own() -> None:
    colours = colours_of(tuple(str(i) for i in range(50)) * 2)
    assert len(set(colours.values())) == 50
    assert all(0 <= c <= 255 for colour in colours.values() for c in colour)


@pytest.mark.parametrize(
    "label", ["橙子", "برتقال", "🍊", "", "a\nb\tc", "\ud800", "\0", "x" * 5000, "<region1>", "<|im_end|>"]
)
def test_any_label(label: str) -> None:
    assert drawn(Detection(label, (10, 60, 60, 100))).any()


@pytest.mark.parametrize(
    "box",
    [
        (-500, -500, 5000, 5000),
        (200, 200, 100, 100),
        (50, 50, 50, 50),
        (0, 0, 320, 240),
        (319.9, 239.9, 330, 250),
        (-1e30, -1e30, 1e30, 1e30),
    ],
)
def test_odd_boxes_that_touch_the_image_are_drawn(box: tuple[float, float, float, float]) -> None:
    assert drawn(Detection("cat", box)).any()


@pytest.mark.parametrize("box", [(-90, -90, -10, -10), (400, 10, 500, 20), (10, 240, 20, 300)])
def test_boxes_outside_the_image_are_left_out(box: tuple[float, float, float, float]) -> None:
    assert not drawn(Detection("cat", box)).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (400, 3)])
def test_tiny_images(size: tuple[int, int]) -> None:
    drawn(Detection("cat", (0, 0, *size)), Detection("dog", (0, 0, 1, 1)), size=size)


def test_chips_of_one_place_do_not_hide_each_other() -> None:
    twins = [Detection(name, (100, 80, 250, 180)) for name in ("cat", "dog")]
    pixels = drawn(*twins)
    colours = colours_of(("cat", "dog"))
    # Each chip is a filled patch of its colour (blended over black), far larger than an outline.
    for colour in colours.values():
        near = np.abs(pixels.astype(int) - np.array(colour) * 235 / 255).max(axis=2) < 12
        assert near.sum() > 300

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fo1.colours import COLOURS, Colour, colour_shares, looks


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((220, 30, 30), "red"),
        ((250, 140, 20), "orange"),
        ((240, 220, 60), "yellow"),
        ((60, 160, 70), "green"),
        ((40, 70, 180), "blue"),
        ((130, 60, 160), "purple"),
        ((240, 150, 190), "pink"),
        ((110, 70, 40), "brown"),
        ((12, 12, 14), "black"),
        ((130, 130, 132), "grey"),
        ((245, 245, 240), "white"),
    ],
)
def test_colours_as_people_call_them(rgb: tuple[int, int, int], colour: Colour) -> None:
    shares = colour_shares(Image.new("RGB", (40, 30), rgb), np.array([[0, 0, 40, 30]], np.float32))
    assert shares.shape == (1, 11) and COLOURS[int(shares[0].argmax())] == colour
    assert shares[0].max() == 1 and shares.dtype == np.float32


def test_shares_of_a_box_and_what_it_looks_like() -> None:
    image = Image.new("RGB", (100, 50), (250, 250, 250))
    ImageDraw.Draw(image).rectangle((0, 0, 49, 49), fill=(200, 20, 30))
    boxes = np.array([[0, 0, 50, 50], [50, 0, 100, 50], [25, 0, 75, 50]], np.float32)
    given = boxes.copy()
    shares = colour_shares(image, boxes)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[:, COLOURS.index("red")], [1, 0, 0.5], atol=0.05)
    red = looks(image, boxes, "red")
    assert red[0] > 0.9 and red[1] == 0 and 0.8 < red[2] < red[0]
    assert (boxes == given).all()


def test_the_corners_of_a_box_do_not_count() -> None:
    image = Image.new("RGB", (60, 60), (40, 150, 60))
    ImageDraw.Draw(image).ellipse((0, 0, 59, 59), fill=(200, 20, 30))
    shares = colour_shares(image, np.array([[0, 0, 60, 60]], np.float32))
    assert shares[0, COLOURS.index("red")] == 1


def test_boxes_outside_the_image_and_no_boxes() -> None:
    image = Image.new("RGB", (20, 20), (200, 20, 30))
    odd = np.array([[-50, -50, 100, 100], [30, 30, 40, 40], [5, 5, 5, 5]], np.float32)
    assert colour_shares(image, odd)[:, COLOURS.index("red")].tolist() == [1, 1, 1]
    assert looks(image, np.zeros((0, 4), np.float32), "red").shape == (0,)

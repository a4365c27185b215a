"""`looks`: what is red, going by pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from PIL import Image

from fo1.types import FloatArray

Colour = Literal[
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"
]
"""The eleven basic colour terms (Berlin and Kay, 1969)."""
COLOURS: tuple[Colour, ...] = get_args(Colour)

# What each is called by most people, as sRGB; a few of each, since a colour has light and dark.
_EXAMPLES: dict[Colour, Sequence[tuple[int, int, int]]] = {
    "black": ((10, 10, 10), (40, 40, 40)),
    "white": ((250, 250, 250), (220, 220, 220)),
    "grey": ((85, 85, 85), (128, 128, 128), (175, 175, 175)),
    "red": ((200, 20, 30), (140, 20, 30), (235, 70, 60)),
    "orange": ((245, 130, 20), (255, 165, 60), (220, 100, 20)),
    "yellow": ((250, 220, 30), (225, 195, 60), (255, 240, 130)),
    "green": ((40, 150, 60), (100, 180, 60), (20, 85, 45), (160, 205, 110), (105, 125, 50)),
    "blue": ((30, 80, 200), (85, 150, 230), (20, 40, 110), (150, 200, 240), (40, 150, 190)),
    "purple": ((110, 40, 150), (150, 90, 190), (80, 30, 90)),
    "pink": ((245, 150, 180), (230, 90, 150), (250, 195, 205)),
    "brown": ((120, 70, 30), (85, 55, 35), (160, 110, 70)),
}
_ENOUGH = 0.2  # share of a thing from which it is rather of a colour than not
_GRID = 16  # points across a box; those in its inscribed ellipse count, where the background is rare


def looks(image: Image.Image, boxes: FloatArray, colour: Colour) -> FloatArray:
    """The chance that people call what is in each box of that colour, (N,) float32; as `colour_shares`."""
    share = colour_shares(image, boxes)[:, COLOURS.index(colour)]
    fit: FloatArray = share**2 / (share**2 + _ENOUGH**2)
    return fit


def colour_shares(image: Image.Image, boxes: FloatArray) -> FloatArray:
    """The share of each box that is nearest to each of `COLOURS`, (N, 11) float32, rows summing to 1.

    image: RGB. boxes: (N, 4) xyxy, its pixels; what lies outside the image counts as its border.
    """
    across = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    x, y = (axis.ravel() for axis in np.meshgrid(across, across))
    inside = np.hypot(x, y) <= 1
    unit = np.stack([x[inside], y[inside]], axis=1) * 0.45 + 0.5
    corner, extent = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    points = (corner + unit * extent).astype(int)  # (N, P, 2)
    pixels = np.asarray(image)
    seen = pixels[points[..., 1].clip(0, image.height - 1), points[..., 0].clip(0, image.width - 1)]
    examples = [_lab(np.array(some, dtype=np.float32)) for some in _EXAMPLES.values()]
    lab = _lab(seen.astype(np.float32))
    away = [np.linalg.norm(lab[..., None, :] - some, axis=-1).min(axis=-1) for some in examples]
    nearest = np.argmin(away, axis=0)  # (N, P)
    return np.stack([(nearest == i).mean(axis=1) for i in range(len(COLOURS))], axis=1).astype(np.float32)


def _lab(rgb: FloatArray) -> FloatArray:
    """sRGB 0 … 255 as CIELAB under D65, (..., 3): there, distances are differences that people see."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lab: FloatArray = np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )
    return lab

"""Pictures of short words on signs, labels and slips of paper, with the exact box of each word.

The only typeface is the one that Pillow ships (Aileron, CC0), so a picture needs no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fo1.training.smol.backdrops import gradient, shaded
from fo1.training.smol.degrade import photographed
from fo1.training.smol.patches import shadow_of

SIZES = ((480, 360), (360, 480), (512, 384), (400, 400))
MOST = 3  # signs in a picture
TILT = 8.0  # degrees
DARK, LIGHT = (0, 80), (180, 256)  # of the writing and what it is written on, or the other way round
INKED = 96  # of 255, from which a pixel is the word's own


@dataclass(frozen=True)
class WrittenScene:
    """image: RGB. boxes: (N, 4) float32, x1 y1 x2 y2 in its pixels, around the letters. words: N."""

    image: Image.Image
    boxes: NDArray[np.float32]
    words: tuple[str, ...]


def written_scene(words: Sequence[str], rng: Generator) -> WrittenScene:
    """One to `MOST` different words, each on a sign of its own; signs do not overlap."""
    size = SIZES[int(rng.integers(len(SIZES)))]
    image = shaded(rng, gradient(rng, size))
    chosen = [words[i] for i in rng.choice(len(words), int(rng.integers(1, MOST + 1)), replace=False)]
    boxes = []
    height = size[1] / len(chosen)
    for number, word in enumerate(chosen):
        sign, box = _sign(word, rng, (size[0] * 0.9, height * 0.9))
        x = int(rng.uniform(0, size[0] - sign.width))
        y = int(number * height + rng.uniform(0, height - sign.height))
        mask, (dx, dy) = shadow_of(sign, rng, 0.4)
        image.paste((0, 0, 0), (x + dx, y + dy), mask)
        image.paste(sign, (x, y), sign)
        boxes.append(np.add(box, (x, y, x, y)))
    return WrittenScene(photographed(image, rng), np.array(boxes, np.float32).reshape(-1, 4), tuple(chosen))


def _sign(
    word: str, rng: Generator, room: tuple[float, float]
) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """An RGBA sign that fits into (width, height) when tilted, and the word's box in it."""
    font = ImageFont.load_default(float(rng.uniform(18, 64)))
    left, top, right, bottom = font.getbbox(word)
    margin = float(rng.uniform(0.25, 0.7)) * (bottom - top)
    size = (round(right - left + 2 * margin), round(bottom - top + 2 * margin))
    ink = Image.new("L", size)
    ImageDraw.Draw(ink).text((margin - left, margin - top), word, fill=255, font=font)
    sign = _board(rng, size)
    sign.paste(_colour(rng, DARK if _bright(sign) else LIGHT), (0, 0), ink)
    angle = float(rng.uniform(-TILT, TILT)) if rng.random() < 0.6 else 0.0
    sign, ink = (
        one.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else one for one in (sign, ink)
    )
    scale = min(1.0, room[0] / sign.width, room[1] / sign.height)
    if scale < 1:
        small = (max(1, int(sign.width * scale)), max(1, int(sign.height * scale)))
        sign, ink = (one.resize(small, Image.Resampling.BICUBIC) for one in (sign, ink))
    box = ink.point(lambda value: 255 if value >= INKED else 0).getbbox()
    if box is None:
        raise ValueError(f"{word!r} leaves no ink")
    return sign, box


def _board(rng: Generator, size: tuple[int, int]) -> Image.Image:
    """A plate of one colour, RGBA: with sharp or round corners, with a border or none."""
    board = Image.new("RGBA", size)
    colour = _colour(rng, LIGHT if rng.random() < 0.7 else DARK)
    corner = int(rng.uniform(0, 0.5) * size[1]) if rng.random() < 0.5 else 0
    border = int(rng.integers(2, 5)) if rng.random() < 0.4 else 0
    edge = _colour(rng, DARK if min(colour) >= LIGHT[0] else LIGHT) if border else colour
    frame = (0, 0, size[0] - 1, size[1] - 1)
    ImageDraw.Draw(board).rounded_rectangle(frame, corner, fill=colour, outline=edge, width=border)
    return board


def _bright(board: Image.Image) -> bool:
    pixel = board.getpixel((board.width // 2, board.height // 2))
    return isinstance(pixel, tuple) and min(pixel[:3]) >= LIGHT[0]


def _colour(rng: Generator, between: tuple[int, int]) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(*between, size=3))

"""Pictures of text in Pillow's own typeface, and the bundled reader."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont

from fo1.checkpoints.bundled import bundled
from fo1.reading.reader import Reader

Box = tuple[float, float, float, float]
CPU = torch.device("cpu")


def reader() -> Reader:
    """In float32."""
    found = Reader.of(bundled()["fo1-smol"])
    assert found is not None
    return found


def sheet(
    lines: Sequence[tuple[tuple[int, int], str]], size: tuple[int, int] = (320, 200), height: int = 28
) -> tuple[Image.Image, list[Box]]:
    """A white sheet with words at places, and the box of each word's ink. height: of the letters, pixels."""
    page = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=height)
    for place, text in lines:
        pen.text(place, text, font=font, fill="black")
    return page, [pen.textbbox(place, text, font=font) for place, text in lines]

"""`draw`: detections on a copy of their image, for people to look at."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.masks import Mask

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_PALETTE: tuple[Colour, ...] = (
    (255, 122, 26),
    (30, 144, 255),
    (50, 190, 90),
    (230, 60, 110),
    (250, 200, 40),
    (150, 95, 230),
    (20, 190, 190),
    (205, 110, 60),
    (245, 130, 200),
    (140, 165, 40),
)
_LONGEST_LABEL = 40


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels of the image drawn on."""

    font: Font
    line: int
    pad: int

    @classmethod
    def of(cls, size: tuple[int, int]) -> _Style:
        text = min(max(round((size[0] * size[1]) ** 0.5 / 34), 11), 96)
        return cls(ImageFont.load_default(size=text), max(round(text / 5), 2), max(round(text / 4), 2))


def name_and_score(found: Detection) -> str:
    """What a chip says."""
    return f"{one_line(found.label)} {found.score:.2f}"


def draw(
    image: Image.Image,
    detections: Detections,
    chip: Callable[[Detection], str] = name_and_score,
    colours: Mapping[str, Colour] | None = None,
) -> Image.Image:
    """A copy of the image with boxes and name chips; best scores on top.

    image: RGB, of any size: boxes are scaled from `detections.image_size` to it.
    chip: what each chip says, in one line.
    colours: of every name; by default each has one of its own. Boxes wholly outside the image are left out.
    """
    canvas = image.convert("RGB")
    pen = ImageDraw.Draw(canvas, "RGBA")
    style = _Style.of(canvas.size)
    colours = colours_of(detections.labels) if colours is None else colours
    placed: list[tuple[Box, Detection]] = []
    for found in sorted(detections, key=lambda d: d.score):
        box = _visible(found.box, detections.image_size, canvas.size)
        if box is not None:
            placed.append((box, found))
            _draw_box(pen, box, colours[found.label], style.line)
    taken: list[Box] = []
    for box, found in reversed(placed):
        _draw_chip(pen, box, chip(found), colours[found.label], style, canvas.size, taken)
    return canvas


def tinted(image: Image.Image, detections: Detections, masks: Sequence[Mask]) -> Image.Image:
    """A copy of the image with the pixels of each mask in the colour of its name, to draw on.

    image: RGB, of the size of the masks, one for each detection.
    """
    colours = colours_of(detections.labels)
    canvas = image.convert("RGB")
    for label, mask in zip(detections.labels, masks, strict=True):
        shade = Image.fromarray(mask.array.astype(np.uint8) * 110)
        canvas.paste(colours[label], mask=shade)
    return canvas


def colours_of(labels: tuple[str, ...]) -> dict[str, Colour]:
    """A different colour for each name, by order of first appearance."""
    return {label: _colour(number) for number, label in enumerate(dict.fromkeys(labels))}


def _colour(number: int) -> Colour:
    if number < len(_PALETTE):
        return _PALETTE[number]
    # Steps of the golden ratio never meet again on the circle of hues.
    hue = (number * 0.618034) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (number % 2), 0.95 - 0.25 * (number % 3 == 0))
    return round(red * 255), round(green * 255), round(blue * 255)


def _visible(box: Box, box_size: tuple[int, int], size: tuple[int, int]) -> Box | None:
    """The part of a box on an image of `size`, in its pixels; None if there is no part."""
    (width, height), sx, sy = size, size[0] / box_size[0], size[1] / box_size[1]
    left, right = sorted((box[0] * sx, box[2] * sx))
    top, bottom = sorted((box[1] * sy, box[3] * sy))
    if right < 0 or bottom < 0 or left >= width or top >= height:
        return None
    x1, x2 = (min(max(x, 0.0), width - 1.0) for x in (left, right))
    y1, y2 = (min(max(y, 0.0), height - 1.0) for y in (top, bottom))
    return x1, y1, x2, y2


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, colour: Colour, line: int) -> None:
    pen.rectangle(box, fill=(*colour, 18))
    # A dark rim keeps the outline visible on a background of its own colour.
    rim = (box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)
    pen.rectangle(rim, outline=(0, 0, 0, 110), width=line + 2)
    pen.rectangle(box, outline=(*colour, 255), width=line)


def _draw_chip(
    pen: ImageDraw.ImageDraw,
    box: Box,
    text: str,
    colour: Colour,
    style: _Style,
    size: tuple[int, int],
    taken: list[Box],
) -> None:
    """A chip at a corner of the box, inside the image and, if possible, clear of earlier chips."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=style.font)
    # Heights of a line with ascenders and descenders, so that all chips are equally high.
    _, line_top, _, line_bottom = pen.textbbox((0, 0), "Äg", font=style.font)
    top, bottom = min(top, line_top), max(bottom, line_bottom)
    chip = _place(box, right - left + 2 * style.pad, bottom - top + style.pad, size, taken)
    taken.append(chip)
    pen.rounded_rectangle(chip, radius=style.pad, fill=(*colour, 235))
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    ink = (20, 20, 20, 255) if light > 140 else (255, 255, 255, 255)
    pen.text((chip[0] + style.pad - left, chip[1] + style.pad * 0.7 - top), text, font=style.font, fill=ink)


def _place(box: Box, width: float, height: float, size: tuple[int, int], taken: list[Box]) -> Box:
    x1, y1, x2, y2 = box
    corners = (
        (x1, y1 - height),
        (x1, y1),
        (x1, y2),
        (x2 - width, y1 - height),
        (x2 - width, y2),
        (x1, y2 - height),
        (x2 - width, y1),
        (x2 - width, y2 - height),
    )
    chips = [_shifted_inside((x, y, x + width, y + height), size) for x, y in corners]
    return min(chips, key=lambda chip: sum(_overlap(chip, other) for other in taken))


def _shifted_inside(chip: Box, size: tuple[int, int]) -> Box:
    x1, y1, x2, y2 = chip
    dx = max(min(0.0, size[0] - 1 - x2), -x1)
    dy = max(min(0.0, size[1] - 1 - y2), -y1)
    return x1 + dx, y1 + dy, x2 + dx, y2 + dy


def _overlap(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def one_line(label: str) -> str:
    """A label that any font can be asked for: one line, no lone surrogates, not endless."""
    text = " ".join(label.encode("utf-8", "replace").decode("utf-8").split())
    text = "".join(c for c in text if c.isprintable())
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"

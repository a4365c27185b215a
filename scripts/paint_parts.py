"""Paints a small data set of machine parts in COCO's format, for docs/finetune.md.

python scripts/paint_parts.py OUT --images 60

Five kinds of parts lie in any direction on a workbench under uneven light. Everything is
drawn here, so the pictures are free of anybody's rights.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (640, 480)
METALS = [(176, 180, 186), (150, 152, 158), (198, 160, 84), (120, 124, 132), (184, 115, 70)]
Pen = ImageDraw.ImageDraw


def ring(corners: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """Corners of a regular shape around the middle of a 400 px canvas."""
    angles = [turn + 2 * math.pi * i / corners for i in range(corners)]
    return [(200 + radius * math.cos(a), 200 + radius * math.sin(a)) for a in angles]


def washer(pen: Pen) -> None:
    pen.ellipse((50, 50, 350, 350), fill=255)
    pen.ellipse((125, 125, 275, 275), fill=0)


def hex_nut(pen: Pen) -> None:
    pen.polygon(ring(6, 165), fill=255)
    pen.ellipse((115, 115, 285, 285), fill=0)


def gear(pen: Pen) -> None:
    for i in range(12):
        a = 2 * math.pi * i / 12
        pen.polygon([(200 + r * math.cos(a + d), 200 + r * math.sin(a + d)) for r, d in
                     ((120, -0.15), (180, -0.09), (180, 0.09), (120, 0.15))], fill=255)  # fmt: skip
    pen.ellipse((65, 65, 335, 335), fill=255)
    pen.ellipse((160, 160, 240, 240), fill=0)


def bolt(pen: Pen) -> None:
    pen.polygon([(20, 130), (110, 130), (110, 270), (20, 270)], fill=255)
    pen.rectangle((110, 165, 370, 235), fill=255)
    for x in range(150, 370, 22):
        pen.line((x, 160, x + 12, 240), fill=120, width=6)


def bracket(pen: Pen) -> None:
    pen.polygon([(60, 60), (140, 60), (140, 260), (340, 260), (340, 340), (60, 340)], fill=255)
    for x, y in ((100, 110), (290, 300), (100, 300)):
        pen.ellipse((x - 18, y - 18, x + 18, y + 18), fill=0)


PARTS: dict[str, Callable[[Pen], None]] = {
    "washer": washer,
    "hex nut": hex_nut,
    "gear": gear,
    "bolt": bolt,
    "bracket": bracket,
}


def cut_out(kind: str, side: int, rng: np.random.Generator) -> Image.Image:
    """One part as RGBA, cropped to what is seen: shaded, scratched, turned."""
    mask = Image.new("L", (400, 400))
    PARTS[kind](ImageDraw.Draw(mask))
    shade = np.linspace(0.7, 1.2, 400)[:, None] + rng.normal(0, 0.05, (400, 400))
    metal = np.array(METALS[rng.integers(len(METALS))])
    colour = Image.fromarray(np.clip(shade[..., None] * metal, 0, 255).astype(np.uint8))
    edge = ImageChops.subtract(mask, mask.filter(ImageFilter.GaussianBlur(6)))
    colour.paste((40, 40, 44), mask=edge)
    colour.putalpha(mask)
    turned = colour.rotate(float(rng.uniform(0, 360)), Image.Resampling.BICUBIC)
    part = turned.resize((side, side), Image.Resampling.LANCZOS)
    return part.crop(part.getbbox())


def bench(rng: np.random.Generator) -> Image.Image:
    """A worn table top."""
    base = rng.integers(60, 200, 3)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16), dtype=np.uint8)).resize(
        SIZE, Image.Resampling.BICUBIC
    )
    light = 0.75 + 0.5 * np.asarray(coarse)[..., None] / 255 + rng.normal(0, 0.03, (SIZE[1], SIZE[0], 1))
    return Image.fromarray(np.clip(base * light, 0, 255).astype(np.uint8))


def scene(rng: np.random.Generator) -> tuple[Image.Image, list[tuple[str, list[int]]]]:
    """A picture, and each part's name and box (x, y, width, height)."""
    image, placed = bench(rng), []
    taken = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    for _ in range(int(rng.integers(2, 8))):
        kind = list(PARTS)[rng.integers(len(PARTS))]
        part = cut_out(kind, int(rng.integers(90, 190)), rng)
        x, y = (int(rng.integers(0, whole - side)) for whole, side in zip(SIZE, part.size, strict=True))
        if taken[y : y + part.height, x : x + part.width].any():
            continue
        taken[y : y + part.height, x : x + part.width] = True
        shadow = Image.new("RGBA", part.size, (0, 0, 0, 0))
        shadow.putalpha(part.getchannel("A").point(lambda a: a // 2))
        image.paste(shadow.filter(ImageFilter.GaussianBlur(3)), (x + 4, y + 5), shadow)
        image.paste(part, (x, y), part)
        placed.append((kind, [x, y, *part.size]))
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1)))), placed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=60)
    arguments = parser.parse_args()
    (arguments.out / "images").mkdir(parents=True, exist_ok=True)
    names, images, annotations = list(PARTS), [], []
    for number in range(arguments.images):
        picture, placed = scene(np.random.default_rng(number))
        name = f"{number:04d}.jpg"
        picture.save(arguments.out / "images" / name, quality=90)
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for kind, box in placed:
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": names.index(kind), "bbox": box}
                | {"area": box[2] * box[3], "iscrowd": 0}
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (arguments.out / "annotations.json").write_text(json.dumps(whole), encoding="utf-8")
    print(f"{len(images)} images with {len(annotations)} parts in {arguments.out}")


if __name__ == "__main__":
    main()

"""A tiny catalogue for the tests: drawn discs, bars and rings under everyday names, no downloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fo1.training.smol.assets import Background, Catalogue, Cutout


def shape(kind: str, colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (96, 80))
    draw = ImageDraw.Draw(image)
    if kind == "disc":
        draw.ellipse((0, 0, 95, 79), fill=(*colour, 255))
    elif kind == "bar":
        draw.rectangle((0, 20, 95, 60), fill=(*colour, 255))
    else:
        draw.ellipse((4, 0, 90, 79), outline=(*colour, 255), width=12)
    return image.crop(image.getchannel("A").getbbox())


def tiny_catalogue(root: Path, held_out_name: str) -> Catalogue:
    """Seen names with training and validation cut-outs, one held-out name, two backgrounds."""
    entries = [
        ("orange", "disc", (230, 140, 20), "photo", "train"),
        ("orange", "disc", (240, 120, 10), "photo", "val"),
        ("apple", "disc", (200, 20, 20), "render", "train"),
        ("pencil", "bar", (240, 220, 40), "drawing", "train"),
        ("tire", "ring", (30, 30, 30), "photo", "train"),
        (held_out_name, "bar", (20, 60, 220), "photo", "train"),
    ]
    cutouts = []
    for number, (name, kind, colour, style, split) in enumerate(entries):
        shape(kind, colour).save(root / f"{number}.webp", "WEBP", lossless=True)
        cutouts.append(Cutout(f"{number}.webp", name, (), "test", style, "none", split))
    noise = np.random.default_rng(0).integers(60, 200, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "photo.jpg")
    Image.fromarray(noise[:128, :128]).save(root / "wall.jpg")
    backgrounds = (Background("photo.jpg", "photo", ("flower",)), Background("wall.jpg", "texture"))
    return Catalogue(root, tuple(cutouts), backgrounds)

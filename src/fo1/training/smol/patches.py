"""One cut-out made ready to be pasted: size, pose, colours, edges. Pure functions of their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Rgb = tuple[float, float, float]
SOLID = 96  # alpha (0–255) from which a pixel counts as the object's own


@lru_cache(maxsize=384)
def load_cutout(path: str) -> Image.Image:
    """The RGBA picture, decoded once a process. Callers must not change it."""
    with Image.open(path) as image:
        rgba: Image.Image = image.convert("RGBA")
    return rgba


@dataclass(frozen=True)
class Pose:
    """How a cut-out is laid down: longest side in pixels, width stretch, degrees, mirrored or not."""

    side: float
    stretch: float
    angle: float
    mirrored: bool


def random_pose(rng: Generator, side: float, upright: bool) -> Pose:
    """A pose near the usual one; things that are not `upright` sometimes lie at any angle."""
    free = not upright and rng.random() < 0.25
    angle = rng.uniform(-180, 180) if free else float(np.clip(rng.normal(0, 6), -15, 15))
    if rng.random() < 0.35:
        angle = 0.0
    return Pose(side, float(rng.uniform(0.88, 1.14)), angle, bool(rng.random() < 0.5))


def posed(cutout: Image.Image, pose: Pose) -> Image.Image:
    """The cut-out at its size in the scene, cropped to what is visible of it."""
    width, height = cutout.width * pose.stretch, float(cutout.height)
    scale = pose.side / max(width, height)
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    image = cutout.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if pose.mirrored else cutout
    image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    if abs(pose.angle) > 0.5:
        image = image.rotate(pose.angle, Image.Resampling.BICUBIC, expand=True)
        box = image.getchannel("A").point(lambda a: 255 if a > 24 else 0).getbbox()
        image = image.crop(box) if box else image
    return image


def recoloured(patch: Image.Image, rng: Generator, around: Rgb, flat: bool) -> Image.Image:
    """Jitter the colours and pull them towards the light `around` (mean RGB of the background there).

    `flat` drawings also get a smooth shade, so that they are less obviously drawn.
    """
    alpha = patch.getchannel("A")
    rgb = patch.convert("RGB")
    if rng.random() < 0.7:
        rgb = ImageEnhance.Color(rgb).enhance(float(rng.uniform(0.6, 1.25)))
    light = float(np.mean(around)) / 128.0
    gain = min(rng.uniform(0.86, 1.08) * (1 + rng.uniform(0.0, 0.6) * (np.clip(light, 0.3, 1.2) - 1)), 1.05)
    cast = 1 + rng.uniform(0.0, 0.16) * (np.array(around) / max(float(np.mean(around)), 20.0) - 1)
    floor = rng.uniform(0, 14)
    gamma = np.exp(rng.normal(0, 0.15))
    ramp = (np.arange(256) / 255.0) ** gamma
    table = np.clip(floor + (255 - floor) * np.outer(gain * cast, ramp), 0, 255)
    rgb = rgb.point(table.astype(int).ravel().tolist())
    if rng.random() < (0.6 if flat else 0.35):
        rgb = _shaded(rgb, rng)
    rgb.putalpha(alpha)
    return rgb


def _shaded(rgb: Image.Image, rng: Generator) -> Image.Image:
    """Darken towards one side, as under light from the other."""
    corners = rng.uniform(0.62, 1.0, size=(2, 2))
    ramp = Image.fromarray((corners * 255).astype(np.uint8)).resize(rgb.size, Image.Resampling.BICUBIC)
    return Image.composite(rgb, Image.new("RGB", rgb.size), ramp)


def softened(patch: Image.Image, rng: Generator, sharpness: float) -> Image.Image:
    """Feather the edge, and blur the whole patch by 0 to `sharpness` pixels (its own focus)."""
    radius = float(rng.uniform(0.0, sharpness))
    if radius > 0.4:
        return patch.convert("RGBa").filter(ImageFilter.BoxBlur(radius)).convert("RGBA")
    patch.putalpha(patch.getchannel("A").filter(ImageFilter.BoxBlur(0.7)))
    return patch


def shadow_of(patch: Image.Image, rng: Generator, strength: float) -> tuple[Image.Image, tuple[int, int]]:
    """A soft contact shadow: an L mask (0–255) and its offset from the patch's top left corner, in pixels."""
    width, height = patch.size
    flat = max(3, round(height * rng.uniform(0.06, 0.22)))
    small = patch.getchannel("A").resize((max(6, width // 4), max(4, flat // 3)), Image.Resampling.BILINEAR)
    spread = 3
    room = Image.new("L", (small.width + 4 * spread, small.height + 4 * spread))
    room.paste(small, (2 * spread, 2 * spread))
    room = room.filter(ImageFilter.GaussianBlur(spread * 0.7)).point(lambda v: int(v * strength))
    factor_x, factor_y = width / small.width, flat / small.height
    full = (round(room.width * factor_x), round(room.height * factor_y))
    mask = room.resize(full, Image.Resampling.BILINEAR)
    left = -round(2 * spread * factor_x) + round(rng.normal(0, 0.05) * width)
    top = height - round((2 * spread + small.height * rng.uniform(0.45, 0.7)) * factor_y)
    return mask, (left, top)


def fragment(cutout: Image.Image, rng: Generator) -> Image.Image:
    """A random piece of a cut-out, with a torn or cut edge: something that has no name."""
    width, height = cutout.size
    w, h = int(width * rng.uniform(0.2, 0.5)), int(height * rng.uniform(0.2, 0.5))
    x, y = int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h))
    return masked(cutout.crop((x, y, x + max(w, 4), y + max(h, 4))), rng)


def masked(image: Image.Image, rng: Generator) -> Image.Image:
    """The picture inside a random ellipse, box or polygon, RGBA."""
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    width, height = image.size
    kind = rng.integers(3)
    if kind == 0:
        draw.ellipse((0, 0, width - 1, height - 1), fill=255)
    elif kind == 1:
        draw.rectangle((0, 0, width, height), fill=255)
    else:
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 10))))
        reach = rng.uniform(0.4, 1.0, len(turns))
        x, y = width / 2 * (1 + reach * np.cos(turns)), height / 2 * (1 + reach * np.sin(turns))
        draw.polygon(np.stack([x, y], axis=1).ravel().tolist(), fill=255)
    image = image.convert("RGBA")
    own = image.getchannel("A")
    image.putalpha(Image.composite(own, Image.new("L", image.size), mask))
    return image

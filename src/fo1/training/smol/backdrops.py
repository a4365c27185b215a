"""Backgrounds of training scenes: crops of photos, walls over table tops, textures, gradients, collages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from fo1.training.smol.assets import Background, Catalogue

Size = tuple[int, int]


@lru_cache(maxsize=72)
def load_background(path: str) -> Image.Image:
    """The RGB picture at no more than about 1200 px, decoded once a process. Callers must not change it."""
    with Image.open(path) as image:
        image.draft("RGB", (800, 800))
        rgb: Image.Image = image.convert("RGB")
    rgb.thumbnail((1200, 1200), Image.Resampling.BILINEAR)
    return rgb


@dataclass(frozen=True)
class Backdrop:
    """A picture to paste on, the height in pixels where its ground begins, and what can be seen in it."""

    image: Image.Image
    horizon: float
    contains: tuple[str, ...]


class Backdrops:
    """Draws backdrops from a catalogue's backgrounds; without any it draws gradients."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._root = catalogue.root
        self._photos = [b for b in catalogue.backgrounds if b.kind == "photo"]
        self._textures = [b for b in catalogue.backgrounds if b.kind == "texture"]
        weights = {self._gradient: 0.05, self._plain: 0.06}
        if self._photos:
            weights |= {self._photo: 0.37, self._collage: 0.03}
        if self._textures:
            weights |= {self._texture: 0.11}
        if self._photos and self._textures:
            weights |= {self._planes: 0.38}
        self._kinds = list(weights)
        self._weights = np.array(list(weights.values())) / sum(weights.values())

    def draw(self, rng: Generator, size: Size) -> Backdrop:
        """One backdrop of (width, height) pixels."""
        kinds = self._kinds
        kind = kinds[int(rng.choice(len(kinds), p=self._weights))]
        return kind(rng, size)

    def texture(self, rng: Generator, size: Size) -> Image.Image:
        """A plain surface of (width, height) pixels: a texture if there is one, else a gradient."""
        if not self._textures:
            return gradient(rng, size)
        return self._surface(rng, size, self._pick(rng, self._textures))

    def _pick(self, rng: Generator, among: list[Background]) -> Background:
        return among[int(rng.integers(len(among)))]

    def _open(self, background: Background) -> Image.Image:
        return load_background(str(self._root / background.path))

    def _photo(self, rng: Generator, size: Size) -> Backdrop:
        chosen = self._pick(rng, self._photos)
        image = random_crop(rng, self._open(chosen), size)
        if rng.random() < 0.4:  # out of focus
            image = defocused(image, float(rng.uniform(1.5, 7)))
        return Backdrop(image, size[1] * rng.uniform(0.3, 0.7), chosen.contains)

    def _surface(self, rng: Generator, size: Size, chosen: Background) -> Image.Image:
        image = self._open(chosen)
        scale = max(size) * float(np.exp(rng.uniform(np.log(0.3), np.log(1.1)))) / max(image.size)
        shape = (max(48, round(image.width * scale)), max(48, round(image.height * scale)))
        tile = image.resize(shape, Image.Resampling.BILINEAR)
        canvas = Image.new("RGB", size)
        x0, y0 = int(rng.integers(tile.width)), int(rng.integers(tile.height))
        for x in range(-x0, size[0], tile.width):
            for y in range(-y0, size[1], tile.height):
                canvas.paste(tile, (x, y))
        return tinted(rng, canvas)

    def _texture(self, rng: Generator, size: Size) -> Backdrop:
        chosen = self._pick(rng, self._textures)
        return Backdrop(shaded(rng, self._surface(rng, size, chosen)), 0.0, chosen.contains)

    def _planes(self, rng: Generator, size: Size) -> Backdrop:
        """A wall, or a blurred view, above a floor or table top seen in perspective."""
        width, height = size
        horizon = round(height * rng.uniform(0.15, 0.65))
        above, contains = self._above(rng, (width, horizon + 2))
        chosen = self._pick(rng, self._textures)
        zoom = float(rng.uniform(1.3, 3.5))  # far edge : near edge
        source = self._surface(rng, (round(width * zoom), height), chosen)
        ground = receding(source, zoom, (width, height - horizon))
        image = Image.new("RGB", size)
        image.paste(above, (0, 0))
        image.paste(ground, (0, horizon))
        if rng.random() < 0.5:  # the dark line where they meet
            band = image.crop((0, horizon - 3, width, horizon + 4)).point(lambda v: int(v * 0.75))
            image.paste(band.filter(ImageFilter.BoxBlur(2)), (0, horizon - 3))
        image = shaded(rng, image)
        if rng.random() < 0.3:
            image = defocused(image, float(rng.uniform(0.8, 3)))
        return Backdrop(image, float(horizon), (*contains, *chosen.contains))

    def _above(self, rng: Generator, size: Size) -> tuple[Image.Image, tuple[str, ...]]:
        if rng.random() < 0.3:
            chosen = self._pick(rng, self._photos)
            view = random_crop(rng, self._open(chosen), size)
            return defocused(view, float(rng.uniform(3, 9))), chosen.contains
        if rng.random() < 0.3:
            return gradient(rng, size), ()
        chosen = self._pick(rng, self._textures)
        return self._surface(rng, size, chosen), chosen.contains

    def _gradient(self, rng: Generator, size: Size) -> Backdrop:
        return Backdrop(gradient(rng, size), size[1] * rng.uniform(0.2, 0.7), ())

    def _plain(self, rng: Generator, size: Size) -> Backdrop:
        grey = int(rng.choice([255, 250, 240, 225, 190, 120, 40, 10]))
        colour = tuple(int(np.clip(grey + rng.normal(0, 4), 0, 255)) for _ in range(3))
        return Backdrop(Image.new("RGB", size, colour), 0.0, ())

    def _collage(self, rng: Generator, size: Size) -> Backdrop:
        first, second = self._photo(rng, size), self._photo(rng, size)
        x = round(size[0] * rng.uniform(0.25, 0.75))
        image = first.image.copy()
        image.paste(second.image.crop((x, 0, *size)), (x, 0))
        return Backdrop(image, 0.0, (*first.contains, *second.contains))


def receding(source: Image.Image, zoom: float, size: Size) -> Image.Image:
    """A surface in perspective, (width, height) pixels.

    `source` is `zoom` × width wide; the far (upper) edge shows all of it, the near edge its middle.
    """
    width, height = size
    growth = (zoom - 1) / height
    down = source.height * zoom / height
    # Output (x, y) shows source (zoom·x + ½·zoom·width·growth·y, down·y) / (1 + growth·y).
    matrix = (zoom, zoom * width / 2 * growth, 0.0, 0.0, down, 0.0, 0.0, growth)
    return source.transform(size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BILINEAR)


def random_crop(rng: Generator, image: Image.Image, size: Size) -> Image.Image:
    """A window of a random zoom (at least 30 % of the side), perhaps mirrored, at (width, height) pixels."""
    width, height = size
    fit = min(image.width / width, image.height / height)
    zoom = float(rng.uniform(0.3, 1.0)) * fit
    w, h = width * zoom, height * zoom
    x, y = rng.uniform(0, image.width - w), rng.uniform(0, image.height - h)
    crop = image.resize(size, Image.Resampling.BILINEAR, box=(x, y, x + w, y + h), reducing_gap=2.0)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def defocused(image: Image.Image, radius: float) -> Image.Image:
    """Blur by about `radius` pixels, done at a smaller size since that is fast."""
    factor = max(1, int(radius / 1.5))
    small = image.resize((max(8, image.width // factor), max(8, image.height // factor)), reducing_gap=2.0)
    small = small.filter(ImageFilter.GaussianBlur(radius / factor))
    return small.resize(image.size, Image.Resampling.BICUBIC)


def gradient(rng: Generator, size: Size) -> Image.Image:
    """A smooth blend of random, mostly muted colours."""
    muted = rng.random() < 0.6
    base = rng.uniform(30, 250) + rng.normal(0, 12, 3) if muted else rng.uniform(20, 245, 3)
    corners = np.clip(base + rng.normal(0, rng.uniform(3, 26), (2, 3, 3)), 0, 255)
    return Image.fromarray(corners.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def tinted(rng: Generator, image: Image.Image) -> Image.Image:
    """Another colour of the same material, half of the times."""
    if rng.random() < 0.5:
        return image
    gains = rng.uniform(0.6, 1.5) * (1 + rng.normal(0, 0.12, 3))
    return image.point(np.clip(np.outer(gains, np.arange(256)), 0, 255).astype(int).ravel().tolist())


def shaded(rng: Generator, image: Image.Image) -> Image.Image:
    """Uneven light: darker towards random corners."""
    corners = (rng.uniform(0.6, 1.0, (3, 3)) * 255).astype(np.uint8)
    mask = Image.fromarray(corners).resize(image.size, Image.Resampling.BICUBIC)
    return Image.composite(image, Image.new("RGB", image.size), mask)

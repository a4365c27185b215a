"""What a camera and a photo site do to a picture: light, colour, blur, noise, JPEG. Sizes never change."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def photographed(image: Image.Image, rng: Generator) -> Image.Image:
    """The RGB picture as a photo of it might look; same size."""
    image = _developed(image, rng)
    if rng.random() < 0.45:
        image = _blurred(image, rng)
    if rng.random() < 0.5:
        image = _noisy(image, rng)
    if rng.random() < 0.75:
        image = _compressed(image, int(rng.integers(28, 96)))
    return image


def _developed(image: Image.Image, rng: Generator) -> Image.Image:
    """White balance, exposure, gamma and black point by one table; saturation; now and then grey."""
    if rng.random() < 0.04:
        return ImageOps.grayscale(image).convert("RGB")
    if rng.random() < 0.5:
        image = ImageEnhance.Color(image).enhance(float(rng.uniform(0.5, 1.3)))
    gains = np.minimum(np.exp(rng.normal(0, 0.06, 3)), 1.12) * min(np.exp(rng.normal(0.0, 0.1)), 1.1)
    gamma = float(np.exp(rng.normal(-0.1, 0.2)))
    black = float(max(rng.uniform(-14, 18), -8))
    ramp = (np.arange(256) / 255.0) ** gamma
    table = np.clip(black + (255 - black) * np.outer(gains, ramp), 0, 255)
    return image.point(table.astype(int).ravel().tolist())


def _blurred(image: Image.Image, rng: Generator) -> Image.Image:
    if rng.random() < 0.5:
        return image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.3, 1.4))))
    factor = rng.uniform(0.45, 0.9)
    small = image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR
    )
    return small.resize(image.size, Image.Resampling.BICUBIC)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Ready-made unit noise: drawing a million normals for each scene would take longer than composing it."""
    return (np.random.default_rng(0).standard_normal((900, 900, 3)) * 32).astype(np.int16)


def _noisy(image: Image.Image, rng: Generator) -> Image.Image:
    pixels = np.asarray(image).astype(np.int16)
    height, width = pixels.shape[:2]
    grain = _grain()
    y, x = int(rng.integers(0, 900 - height + 1)), int(rng.integers(0, 900 - width + 1))
    strength = int(rng.integers(2, 13))
    pixels += (grain[y : y + height, x : x + width] * strength) >> 5
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")

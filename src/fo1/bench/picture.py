"""A picture to measure with where none is given: 640×480, shapes on noise, always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE, SHAPES = (640, 480), 30


def picture() -> tuple[Image.Image, NDArray[np.float32]]:
    """The image, and a box for each of its shapes, xyxy pixels."""
    rng = np.random.default_rng(0)
    noise = rng.integers(90, 160, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize(SIZE)
    pen = ImageDraw.Draw(image)
    sides = rng.integers(30, 140, (SHAPES, 2))
    corners = (rng.random((SHAPES, 2)) * (np.array(SIZE) - sides)).astype(int)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    for number, box in enumerate(boxes.tolist()):
        shape = pen.ellipse if number % 2 else pen.rectangle
        shape(box, fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image, boxes.astype(np.float32)

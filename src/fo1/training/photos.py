"""Real photos for training: fetched by `scripts/fetch_photos.py`, labelled by hand in `photo_labels.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from fo1.types import FloatArray


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo as a scene: (G, 4) boxes in its pixels, their names, and what else can be seen."""

    image: Image.Image
    boxes: FloatArray
    names: Sequence[str]
    present: Sequence[str]


def labelled_photos(folder: Path) -> Iterator[LabelledPhoto]:
    """Every labelled photo that is in the folder, and after each its mirror image.

    `photo_labels.json` holds, for each file, `objects` ([name, x1, y1, x2, y2] as fractions of the image) and
    `present` (names of what is visible without a box).
    """
    labels = json.loads(resources.files(__package__).joinpath("photo_labels.json").read_text("utf-8"))
    for file, entry in labels.items():
        path = folder / file
        if not path.is_file():
            continue
        image = Image.open(path).convert("RGB")
        names = [name for name, *_ in entry["objects"]]
        fractions = np.array([box for _, *box in entry["objects"]], dtype=np.float32).reshape(-1, 4)
        boxes = fractions * np.array(image.size * 2, dtype=np.float32)
        yield LabelledPhoto(image, boxes, names, entry["present"])
        mirrored = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [image.width, 0, image.width, 0]
        flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield LabelledPhoto(flipped, mirrored.astype(np.float32), names, entry["present"])

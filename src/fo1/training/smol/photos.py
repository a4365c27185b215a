"""Real photos for training: fetched by `scripts/fetch_photos.py`, labelled by hand in `photo_labels.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fo1.training.smol.names import held_out
from fo1.types import FloatArray


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo as a scene: (G, 4) boxes in its pixels, their names, and what else can be seen."""

    image: Image.Image
    boxes: FloatArray
    names: Sequence[str]
    present: Sequence[str]


def photo_labels() -> dict[str, Any]:
    """What was labelled by hand.

    For each file, `objects` ([name, x1, y1, x2, y2] as fractions of the image) and `present` (names of what
    is visible without a box).
    """
    labels: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("photo_labels.json").read_text("utf-8")
    )
    return labels


def labelled_photos(folder: Path, labels: Mapping[str, Any]) -> Iterator[LabelledPhoto]:
    """Every photo of `labels` (see `photo_labels`) that is in the folder, and after each its mirror image.

    A thing whose name is held out loses its box and is merely present.
    """
    for file, entry in labels.items():
        path = folder / file
        if not path.is_file():
            continue
        image = Image.open(path).convert("RGB")
        objects = [thing for thing in entry["objects"] if not held_out(thing[0])]
        names = [name for name, *_ in objects]
        unboxed = [name for name, *_ in entry["objects"] if held_out(name)]
        present = list(dict.fromkeys([*entry["present"], *unboxed]))
        fractions = np.array([box for _, *box in objects], dtype=np.float32).reshape(-1, 4)
        boxes = fractions * np.array(image.size * 2, dtype=np.float32)
        yield LabelledPhoto(image, boxes, names, present)
        mirrored = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [image.width, 0, image.width, 0]
        flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield LabelledPhoto(flipped, mirrored.astype(np.float32), names, present)

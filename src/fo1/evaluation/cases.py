"""Cases to measure on: photos with hand-made boxes, and composed scenes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fo1.training import names as words
from fo1.training.features import NamedScene
from fo1.types import FloatArray


@dataclass(frozen=True)
class Case:
    """One picture and what to ask. present: label → (G, 4) boxes in pixels. absent: labels that are not there."""

    image: Image.Image | Path
    present: dict[str, FloatArray]
    absent: tuple[str, ...]


def photo_cases(folder: Path) -> Iterator[Case]:
    """From `annotations.json` and the photos beside it."""
    for entry in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        boxes: dict[str, list[list[float]]] = {}
        for thing in entry["objects"]:
            boxes.setdefault(thing["label"], []).append(thing["box"])
        present = {label: np.array(b, dtype=np.float32) for label, b in boxes.items()}
        yield Case(folder / entry["image"], present, tuple(entry["absent"]))


def scene_cases(scenes: Iterable[NamedScene], vocabulary: Sequence[str], absent: int, seed: int) -> Iterator[Case]:
    """From composed scenes; absent labels are drawn from the vocabulary."""
    rng = np.random.default_rng(seed)
    for scene in scenes:
        known = [*scene.names, *scene.present]
        present = {
            name: np.stack([b for b, n in zip(scene.boxes, scene.names, strict=True) if n == name])
            for name in dict.fromkeys(scene.names)
        }
        drawn = [vocabulary[i] for i in rng.choice(len(vocabulary), 3 * absent, replace=False)]
        missing = [w for w in drawn if not any(words.conflicts(w, name) for name in known)]
        yield Case(scene.image, present, tuple(missing[:absent]))

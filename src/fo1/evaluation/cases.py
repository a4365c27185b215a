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
    """One picture and what to ask.

    present: label → (G, 4) xyxy boxes in its pixels. absent: labels that are not there.
    """

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


def scene_cases(
    scenes: Iterable[NamedScene], vocabulary: Sequence[str], absent: int, seed: int
) -> Iterator[Case]:
    """From composed scenes. Present are the names whose boxes are complete; up to `absent` others are drawn
    from the vocabulary."""
    rng = np.random.default_rng(seed)
    for scene in scenes:
        known = [*scene.names, *scene.present]
        present = {
            label: _boxes_of(label, scene)
            for label in dict.fromkeys(scene.names)
            if not any(_fits(label, other) or _fits(other, label) for other in scene.present)
        }
        numbers = rng.choice(len(vocabulary), min(3 * absent, len(vocabulary)), replace=False)
        drawn = [vocabulary[i] for i in numbers]
        missing = [w for w in drawn if not any(words.conflicts(w, name) for name in known)]
        yield Case(scene.image, present, tuple(missing[:absent]))


def _boxes_of(label: str, scene: NamedScene) -> FloatArray:
    """Boxes of all that the label fits, things of that very name first."""
    pairs = zip(scene.names, scene.boxes, strict=True)
    ordered = sorted(pairs, key=lambda pair: pair[0] != label)
    return np.stack([box for name, box in ordered if _fits(label, name)])


def _fits(label: str, name: str) -> bool:
    """May a thing of this name be called by the label?"""
    return label in (name, *words.synonyms(name), *words.hypernyms(name))

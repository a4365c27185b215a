"""Pseudo-labelled photos: what the detector is sure of in a real photo, as a scene to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from fo1.boxes import nms
from fo1.encoders import names as classes
from fo1.model import RegionModel
from fo1.types import FloatArray

SURE, POSSIBLE = 0.5, 0.12
SAME_THING = 0.55

# The detector's class names in everyday words.
EVERYDAY = {
    "tv": "television",
    "sports ball": "ball",
    "dining table": "table",
    "mouse": "computer mouse",
    "donut": "doughnut",
    "remote": "remote control",
    "pizza": "pizza slice",
}

# What photos are full of and no class of the detector names: never denied.
SCENERY = (
    "tree", "potted plant", "flower", "leaf", "bush", "grass", "house", "building", "castle", "mountain", "rock",
    "road", "cloud", "sun", "moon", "star", "fence", "wall", "window", "door", "table", "shirt", "hat", "shoe", "hand",
    "eye", "sign", "lamp", "fruit", "vegetable", "food", "insect", "bird", "ship", "bridge", "tower",
)  # fmt: skip


@dataclass(frozen=True)
class PseudoScene:
    """A photo as a scene: boxes in its pixels, and `present` for everything that may be there."""

    image: Image.Image
    boxes: FloatArray
    names: Sequence[str]
    present: Sequence[str]


@torch.inference_mode()
def pseudo_label(model: RegionModel, image: Image.Image) -> PseudoScene:
    """The detector's sure boxes, class by class; classes it half sees, and what the classifier suspects, are `present`."""
    (auxiliary,) = model.auxiliary([image])
    (regions,) = model.propose([image], [auxiliary])
    labels = [EVERYDAY.get(label, label) for label in regions.labels or ()]
    kept: list[int] = []
    for label in dict.fromkeys(labels):
        rows = np.array([i for i, other in enumerate(labels) if other == label and regions.scores[i] >= SURE], dtype=int)
        kept += rows[nms(regions.xyxy[rows], regions.scores[rows], SAME_THING)].tolist()
    (primary,) = model.primary([image])
    evidence = model.pool(primary, auxiliary, regions).evidence
    best = evidence.amax(dim=0).tolist()
    known = [*classes.coco(), *classes.imagenet()]
    possible = [EVERYDAY.get(name, name) for name, chance in zip(known, best, strict=True) if chance > POSSIBLE]
    return PseudoScene(image, regions.xyxy[kept], [labels[i] for i in kept], [*possible, *SCENERY])

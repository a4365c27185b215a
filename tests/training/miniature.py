"""Scenes and records for the tiny region model of `tiny.py`: coloured rectangles under everyday names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw

from fo1.boxes import iou
from fo1.model import RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.regions.encoder import RegionFeatures
from fo1.training.questions import QuestionConfig, QuestionMaker
from fo1.training.records import SceneRecord
from fo1.training.thesaurus import Thesaurus
from fo1.types import FloatArray
from tiny import BOXES

SIZE = (80, 60)
COLOURS = {"apple": (220, 20, 20), "car": (20, 60, 230), "dog": (240, 230, 40), "tree": (10, 160, 40)}
NAMES = sorted(COLOURS)
SEVERAL = QuestionConfig(present=3, absent=3, hard=0.0, everyday=0.0)


@dataclass(frozen=True)
class Painted:
    """A `NamedScene`."""

    image: Image.Image
    boxes: FloatArray
    names: tuple[str, ...]
    present: tuple[str, ...] = ()


def painted(seed: int) -> Painted:
    """One to three quarters of the picture in colours of NAMES, at boxes that the stub proposes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", SIZE, (128, 128, 128))
    corners = rng.permutation(4)[: rng.integers(1, 4)]
    boxes = np.array([BOXES[i] for i in corners], dtype=np.float32) * np.array(SIZE * 2, dtype=np.float32)
    names = tuple(NAMES[i] for i in rng.integers(len(NAMES), size=len(boxes)))
    for box, name in zip(boxes, names, strict=True):
        ImageDraw.Draw(image).rectangle((*box[:2], *(box[2:] - 1)), fill=COLOURS[name])
    return Painted(image, boxes, names)


def features(count: int, seed: int = 0, classes: int = 0) -> RegionFeatures:
    """Random, of the tiny model's widths; the first primary number of each row is its index."""
    generator = torch.Generator().manual_seed(seed)
    primary = torch.randn(count, 16, generator=generator)
    primary[:, 0] = torch.arange(count)
    corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values
    auxiliary = torch.randn(count, 24, generator=generator)
    called = torch.rand(count, classes, generator=generator)
    return RegionFeatures(primary, auxiliary, called, corners.flatten(1))


def record(
    names: Sequence[str],
    objects: Sequence[Sequence[float]],
    regions: Sequence[Sequence[float]] | None = None,
    uncertain: Sequence[str] = (),
    seed: int = 0,
    classes: int = 0,
) -> SceneRecord:
    """Objects and regions as fractions of the image; without `regions`, one exactly on each object."""
    boxes = objects if regions is None else regions
    return SceneRecord(
        features(len(boxes) + 1, seed, classes),
        torch.from_numpy(iou(boxes, objects)),
        tuple(names),
        torch.tensor(objects, dtype=torch.float32).reshape(-1, 4),
        tuple(uncertain),
    )


def rows(taken: RegionFeatures) -> list[int]:
    """Which of the regions made by `features` these are, the whole image left out."""
    return [int(v) for v in taken.primary[:-1, 0]]


def maker(
    prompts: PromptBuilder | RegionModel, names: Sequence[str] = NAMES, config: QuestionConfig = SEVERAL
) -> QuestionMaker:
    builder = prompts.prompts if isinstance(prompts, RegionModel) else prompts
    return QuestionMaker(builder, Thesaurus(), names, config)


def training_set(count: int = 6, classes: int = 0) -> list[SceneRecord]:
    """Random features; names and boxes of painted scenes."""
    scenes = [painted(seed) for seed in range(count)]
    size = np.array(SIZE * 2, dtype=np.float32)
    return [
        record(scene.names, (scene.boxes / size).tolist(), BOXES, seed=i, classes=classes)
        for i, scene in enumerate(scenes)
    ]

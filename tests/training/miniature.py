"""Scenes and records for the tiny region model of `tiny.py`: coloured rectangles under everyday names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw

from fo1.boxes import iou
from fo1.data.exercise import Exercise
from fo1.model import RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.regions.encoder import RegionFeatures
from fo1.training.smol.questions import QuestionConfig, QuestionMaker, SeenScene
from fo1.training.smol.records import SceneRecord
from fo1.training.smol.thesaurus import Thesaurus
from fo1.types import FloatArray
from tiny import BOXES

SIZE = (80, 60)
COLOURS = {"apple": (220, 20, 20), "car": (20, 60, 230), "dog": (240, 230, 40), "tree": (10, 160, 40)}
NAMES = sorted(COLOURS)
SEVERAL = QuestionConfig(present=3, absent=3, hard=0.0, everyday=0.0)
TARGETS = {"apple": torch.tensor([1.0, 0.0, 0.25]), "dog": torch.tensor([0.0, 0.0, 0.0])}
ASKED = "Detect apple, dog."


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


def same_scene(one: SeenScene, other: SeenScene) -> bool:
    """The same regions, asked the same?"""
    (a,), (b,) = one.exercises, other.exercises
    return (
        a.tree == b.tree
        and a.words == b.words
        and [pick[:2] for pick in a.picks] == [pick[:2] for pick in b.picks]
        and all(torch.equal(x.target, y.target) for x, y in zip(a.picks, b.picks, strict=True))
        and torch.equal(one.features.primary, other.features.primary)
    )


def scene(model: RegionModel, regions: int, seed: int) -> SeenScene:
    """Random features, and an exercise that shows the image and asks nothing yet."""
    evidence, slot = model.encoder.evidence, model.prompts.vocabulary.image_slot
    exercise = Exercise()
    exercise.tree.add(model.prompts.prefix([slot], regions))
    known = features(regions + 1, seed, sum(evidence.sizes) if evidence else 0)
    return SeenScene(known, (exercise,), (slot,))


def grounding(model: RegionModel, seed: int = 0) -> SeenScene:
    """Three regions; both labels below one question."""
    made = scene(model, 3, seed)
    (exercise,) = made.exercises
    question = exercise.tree.add(model.prompts.question(ASKED, 3), 0)
    for label, target in TARGETS.items():
        exercise.pick(question, model.prompts.naming(label, 3), label, target.clone())
    return made


def telling(model: RegionModel) -> SeenScene:
    """Two regions; "Is it so?", answered " Yes" and a stop."""
    made = scene(model, 2, 7)
    (exercise,) = made.exercises
    question = exercise.tree.add(model.prompts.question("Is it so?", 2), 0)
    exercise.write(question, [*model.prompts.template(" Yes"), model.prompts.stop_id])
    return made

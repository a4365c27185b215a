"""`judge`: is each of these boxes what its label says? And `weigh`, what the answer is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import area, intersection, iou
from fo1.images import ImageSource, load_image
from fo1.labeling.ledger import Row
from fo1.labeling.verdicts import Limits, Verdict, verdicts
from fo1.prompts.tasks import clean_labels
from fo1.types import Regions

if TYPE_CHECKING:
    from PIL import Image

    from fo1.findings import Findings
    from fo1.pipeline import FO1
    from fo1.scene import Scene

SAME = 0.5
"""Overlap (IoU) from which a found thing has a box; of its own label, also if so much of it is in one."""

FLOOR = 1e-4
NAMES = 3


class Labelled(NamedTuple):
    """Boxes that someone put on an image. boxes: (N, 4) xyxy, original pixels. labels: N names."""

    boxes: NDArray[np.float32]
    labels: tuple[str, ...]


def judge(
    model: FO1,
    image: ImageSource,
    boxes: ArrayLike,
    labels: Sequence[str],
    classes: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> list[Verdict]:
    """One verdict for each box of an image, in order; for filtering what a detector found.

    image: anything `fo1.load_image` reads. boxes: (N, 4) xyxy pixels of the original image; labels: N names.
    classes: what a box may be instead; by default the names among `labels`. White space in names does not
        matter; verdicts have them as given.
    Raises `RegionError` for boxes and labels that do not fit, and `ImageError`.
    """
    names = tuple(str(label) for label in labels)
    pixels = load_image(image)
    regions = Regions.of(boxes, pixels.size, labels=names)
    if not len(regions):
        return []
    written = {" ".join(name.split()): name for name in reversed([*(classes or ()), *names])}
    asked = clean_labels([*(classes or ()), *names])
    plain = tuple(" ".join(name.split()) for name in names)
    (row,) = weigh(model, [pixels], [Labelled(regions.xyxy, plain)], asked)
    return [
        replace(one, label=name, other=None if one.other is None else written[one.other])
        for one, name in zip(verdicts(row, limits or Limits()), names, strict=True)
    ]


def weigh(
    model: FO1, images: Sequence[Image.Image], given: Sequence[Labelled], classes: Sequence[str]
) -> list[Row]:
    """What the model thinks of the boxes of a batch of images: a function of these arguments alone.

    The given boxes are regions beside the model's own proposals. A row holds `boxes` and `labels` as given;
    for each box `scores`, by class, that it is that; `chances`, by class, that it is that and not one of the
    others; `names`, the best of all names the model knows, if it has such a list; and `missed`, found things
    that have no box. What is below `FLOOR` is left out. Raises `RegionError` for a model without a proposer.
    """
    own = _proposals(model, images)
    both = [_joined(one.boxes, proposed) for one, proposed in zip(given, own, strict=True)]
    scenes = model.look_many(images, both)
    return [_row(scene, one, classes) for scene, one in zip(scenes, given, strict=True)]


def _proposals(model: FO1, images: Sequence[Image.Image]) -> list[Regions]:
    import torch

    inner = model.model
    with inner.lock, torch.inference_mode():
        maps = [None] * len(images) if inner.auxiliary is None else list(inner.auxiliary(images))
        return inner.propose(images, maps)


def _joined(boxes: NDArray[np.float32], proposed: Regions) -> Regions:
    scores = np.concatenate([np.ones(len(boxes), np.float32), proposed.scores])
    return Regions(np.concatenate([boxes, proposed.xyxy]), scores, proposed.image_size)


def _row(scene: Scene, given: Labelled, classes: Sequence[str]) -> Row:
    count, found = len(given.boxes), scene.detect(classes)
    scores = np.stack([found.confidence[name][:count] for name in classes])
    writes = scene.writes
    chances = scores / np.maximum(scores.sum(axis=0), 1e-9) if writes else _chances(scene, count, classes)
    names = [] if writes or not scene.known_names else _best(_chances(scene, count, scene.known_names), scene)
    return {
        "boxes": [[float(str(v)) for v in box] for box in given.boxes],  # short, and exact as float32
        "labels": list(given.labels),
        "scores": _by_class(scores, classes),
        "chances": _by_class(chances, classes),
        "names": names,
        "missed": _missed(found, given),
    }


def _chances(scene: Scene, count: int, names: Sequence[str]) -> NDArray[np.float32]:
    """As `Scene.names`, of the first `count` regions at once: (names, count)."""
    import torch

    model, some = scene.model, scene.encoded.take(range(count))
    with model.lock, torch.inference_mode():
        phrases = model.phrase_embeddings(names)
        logits = model.own_logits(None, some.embeddings, some.evidence, phrases)
        chances: NDArray[np.float32] = (logits / scene.settings.temperature).softmax(dim=0).cpu().numpy()
    return chances


def _best(chances: NDArray[np.float32], scene: Scene) -> list[list[tuple[str, float]]]:
    best = np.argsort(-chances, axis=0, kind="stable")[:NAMES]
    return [
        [(scene.known_names[i], round(float(chances[i, box]), 4)) for i in column]
        for box, column in enumerate(best.T)
    ]


def _by_class(values: NDArray[np.float32], classes: Sequence[str]) -> list[dict[str, float]]:
    """For each box, by class; what is below the floor says nothing."""
    return [
        {name: round(float(v), 6) for name, v in zip(classes, column, strict=True) if v >= FLOOR}
        for column in values.T
    ]


def _missed(found: Findings, given: Labelled) -> list[dict[str, Any]]:
    """Found things that have no box, from half sure on."""
    missed = []
    for thing in found:
        overlap = iou([thing.box], given.boxes)[0] if len(given.boxes) else np.zeros(0)
        shared = intersection([thing.box], given.boxes)[0] / np.maximum(area([thing.box])[0], 1e-6)
        alike = np.array([label == thing.label for label in given.labels], dtype=bool)
        if thing.region >= len(given.boxes) and not ((overlap >= SAME) | (alike & (shared >= SAME))).any():
            box = [round(v, 2) for v in thing.box]
            missed.append({"label": thing.label, "box": box, "score": round(thing.score, 4)})
    return missed

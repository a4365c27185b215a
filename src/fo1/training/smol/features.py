"""Scenes → records: proposals and frozen features, once, to disk; training never runs an encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from fo1.boxes import clip, iou
from fo1.model import RegionModel
from fo1.training.smol.records import SceneRecord, save_records
from fo1.types import FloatArray, Regions

logger = logging.getLogger(__name__)
SHARD = 100


class NamedScene(Protocol):
    """What training needs of a scene."""

    @property
    def image(self) -> Image.Image:
        """RGB."""

    @property
    def boxes(self) -> FloatArray:
        """(G, 4) xyxy, pixels of the image."""

    @property
    def names(self) -> Sequence[str]:
        """What each box shows, G of them."""

    @property
    def present(self) -> Collection[str]:
        """Names of what can be seen but has no box."""


def mixed_regions(proposed: Regions, boxes: FloatArray, limit: int, rng: np.random.Generator) -> Regions:
    """The best `limit` proposals and, in half of the scenes, jittered boxes of the objects among them."""
    kept = proposed.take(range(min(limit, len(proposed))))
    if rng.random() < 0.5 or not len(boxes):
        return kept
    side = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    drawn = clip(boxes + rng.normal(0, 0.04, boxes.shape) * side, proposed.image_size)
    return Regions.of(np.concatenate([kept.xyxy, drawn]), proposed.image_size)


@torch.inference_mode()
def encode_scene(model: RegionModel, scene: NamedScene, limit: int, rng: np.random.Generator) -> SceneRecord:
    """One scene's record; `limit` proposals at most."""
    boxes = np.asarray(scene.boxes, dtype=np.float32).reshape(-1, 4)
    (maps,) = [None] if model.auxiliary is None else model.auxiliary([scene.image])
    (sight,) = model.family.see([scene.image])
    (proposed,) = model.propose([scene.image], [maps])
    regions = mixed_regions(proposed, boxes, limit, rng)
    features = model.pool(sight.maps, maps, regions)
    width, height = scene.image.size
    return SceneRecord(
        features,
        torch.from_numpy(iou(regions.xyxy, boxes)),
        tuple(scene.names),
        torch.from_numpy(boxes / np.array([width, height] * 2, dtype=np.float32)),
        tuple(scene.present),
    )


def encode_scenes(
    model: RegionModel,
    compose: Callable[[int], NamedScene],
    count: int,
    folder: Path,
    *,
    limit: int = 48,
    first: int = 0,
    workers: int = 1,
) -> None:
    """Composes scenes `first` … `first + count - 1` in worker processes, encodes them here, writes shards.

    Shards that are there already are left as they are, so an interrupted run goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        for start in range(first, first + count, SHARD):
            path = folder / f"{start:06d}.safetensors"
            if path.exists():
                continue
            indices = range(start, min(start + SHARD, first + count))
            rng = np.random.default_rng(start)
            scenes = pool.map(compose, indices, chunksize=4)
            save_records([encode_scene(model, scene, limit, rng) for scene in scenes], path)
            logger.info("wrote %s", path.name)

"""A large image, encoded tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fo1.boxes import clip
from fo1.errors import RegionError
from fo1.model import Encoded, RegionModel
from fo1.tiles import Tiles, Tiling, merged
from fo1.types import Regions

TILES_PER_BATCH = 8  # so that memory does not grow with the image


def encode_all(
    model: RegionModel, images: Sequence[Image.Image], given: Sequence[Regions | None], tiles: Tiles
) -> list[Encoded]:
    """As `RegionModel.encode`; images larger than a tile are encoded tile by tile."""
    if tiles is None:
        return model.encode(images, given)
    tilings = [Tiling.of(image.size, tiles) for image in images]
    small = [i for i, tiling in enumerate(tilings) if len(tiling) == 1]
    plain = model.encode([images[i] for i in small], [given[i] for i in small])
    encoded = dict(zip(small, plain, strict=True))
    return [
        encoded[i] if i in encoded else encode_tiled(model, image, given[i], tilings[i])
        for i, image in enumerate(images)
    ]


@torch.inference_mode()
def encode_tiled(model: RegionModel, image: Image.Image, given: Regions | None, tiling: Tiling) -> Encoded:
    """As `RegionModel.encode`, but small things are proposed and read at the resolution of tiles.

    The whole image is what the base sees and what regions are placed in. A region's features come from the
    tile in which it lies whole, if there is one; so both encoders run on each such tile, and for a base with
    eyes of its own that is a pass of its vision tower per tile.
    given: these regions; None for those that the proposer finds on all tiles and the whole image.
    """
    regions = _proposed(model, image, tiling) if given is None else given
    (whole,) = model.encode([image], [regions])
    embeddings, evidence = whole.embeddings.clone(), whole.evidence.clone()
    homes = tiling.homes(regions.xyxy)
    used = np.unique(homes[homes >= 0])
    frame = torch.tensor([*image.size] * 2, device=embeddings.device)
    for batch in _batches(used):
        rows = [np.flatnonzero(homes == tile) for tile in batch]
        local = [
            _within(regions.take(row), tiling.boxes[tile]) for tile, row in zip(batch, rows, strict=True)
        ]
        seen = model.pooled(_crops(image, tiling, batch), local)
        for row, features in zip(rows, seen, strict=True):
            index = torch.from_numpy(row).to(embeddings.device)
            placed = torch.from_numpy(clip(regions.xyxy[row], image.size)).to(embeddings.device) / frame
            embeddings[index] = model.encoder.embed(replace(features, boxes=placed))
            evidence[index] = features.said
    return replace(whole, embeddings=embeddings, evidence=evidence)


def _proposed(model: RegionModel, image: Image.Image, tiling: Tiling) -> Regions:
    """What the proposer finds on the whole image and on each tile, each thing once, best first."""
    proposer = model.proposer
    if proposer is None:
        raise RegionError("this model has no proposer; give boxes")
    found = proposer.propose([image])
    cut = [np.zeros(len(found[0]), dtype=bool)]
    for batch in _batches(np.arange(len(tiling))):
        for tile, seen in zip(batch, proposer.propose(_crops(image, tiling, batch)), strict=True):
            found.append(_placed(seen, tiling.boxes[tile], image.size))
            cut.append(tiling.cuts(found[-1].xyxy, tile))
    boxes = np.concatenate([one.xyxy for one in found])
    scores = np.concatenate([one.scores for one in found])
    kept = merged(boxes, scores, np.concatenate(cut))
    labels = [label for one in found for label in one.labels or ()]
    named = tuple(labels[i] for i in kept) if len(labels) == len(boxes) else None
    return Regions(boxes[kept], scores[kept], image.size, named)


def _batches(tiles: NDArray[np.int64]) -> Iterator[list[int]]:
    numbers = tiles.tolist()
    return (numbers[i : i + TILES_PER_BATCH] for i in range(0, len(numbers), TILES_PER_BATCH))


def _crops(image: Image.Image, tiling: Tiling, batch: Sequence[int]) -> list[Image.Image]:
    return [image.crop(tuple(tiling.boxes[tile].tolist())) for tile in batch]


def _placed(regions: Regions, tile: NDArray[np.int64], size: tuple[int, int]) -> Regions:
    """Regions of a tile, as those of the image that it was cut from."""
    corner = np.tile(tile[:2], 2)
    return Regions((regions.xyxy + corner).astype(np.float32), regions.scores, size, regions.labels)


def _within(regions: Regions, tile: NDArray[np.int64]) -> Regions:
    """Regions of an image, as those of a tile of it."""
    x1, y1, x2, y2 = tile.tolist()
    corner = np.array([x1, y1, x1, y1])
    return Regions(
        (regions.xyxy - corner).astype(np.float32), regions.scores, (x2 - x1, y2 - y1), regions.labels
    )

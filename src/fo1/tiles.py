"""`Tiling`: a large image cut into overlapping tiles, and what becomes of boxes at their edges.

A detector scales what it is given to a few hundred pixels, and small objects of a large image vanish. On
tiles they do not. That is slicing-aided inference (SAHI, Akyon et al. 2022, arXiv 2202.06934): tiles with
overlap and the whole image as well, merged by NMS. Pure geometry; boxes are xyxy pixels of the whole image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import area, clip, intersection, nms
from fo1.errors import RegionError

Tiles: TypeAlias = int | Literal["auto"] | None
"""The side of a tile in pixels, "auto" to choose it by the image's size, or None for no tiles."""

LEAST_SIDE = 64
AUTO_SIDE = 640  # about what a photo has that encoders were trained on
AUTO_COUNT = 36  # auto tiles grow, rather than become many more than this
OVERLAP = 0.25  # of a tile's side: what is smaller lies whole in some tile
EDGE = 0.02  # of a tile's side: a box that ends so near an inner edge may go on behind it

SAME_IOU = 0.6
SAME_COVER = 0.5


def tile_side(size: tuple[int, int], tiles: int | Literal["auto"]) -> int:
    """The side of the tiles of an image of (width, height). Raises `RegionError` for one that makes none."""
    if tiles == "auto":
        return max(AUTO_SIDE, math.ceil(math.sqrt(size[0] * size[1] / AUTO_COUNT)))
    try:
        side = index(tiles)
    except TypeError as error:
        raise RegionError(f'tiles must be "auto" or a side in pixels, got {tiles!r}') from error
    if side < LEAST_SIDE:
        raise RegionError(f'tiles must have a side of at least {LEAST_SIDE} pixels, got {side}; or "auto"')
    return side


@dataclass(frozen=True, eq=False)
class Tiling:
    """Tiles that cover an image. size: (width, height). side: the longest of a tile. boxes: (T, 4) int64."""

    size: tuple[int, int]
    side: int
    boxes: NDArray[np.int64]

    @classmethod
    def of(cls, size: tuple[int, int], tiles: int | Literal["auto"]) -> Tiling:
        """Tiles of an image of (width, height), row by row, evenly spaced.

        Neighbours share at least `OVERLAP` of a side. A side no longer than a tile's is not cut.
        Raises `RegionError` if a tile is to have less than `LEAST_SIDE` pixels, or no number of them.
        """
        side = tile_side(size, tiles)
        across, down = (_spans(length, side) for length in size)
        boxes = [(x1, y1, x2, y2) for y1, y2 in down for x1, x2 in across]
        return cls(size, side, np.array(boxes, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.boxes)

    def margins(self, boxes: ArrayLike) -> NDArray[np.float32]:
        """Pixels between each box and each tile's nearest inner edge, (N, T).

        Negative where the box reaches out of the tile, infinite for a tile without inner edges. The image's
        own border is no inner edge: what it cuts is cut in every tile.
        """
        inside = clip(boxes, self.size)[:, None]
        low, high = inside[..., :2] - self.boxes[:, :2], self.boxes[:, 2:] - inside[..., 2:]
        low = np.where(self.boxes[:, :2] > 0, low, np.inf)
        high = np.where(self.boxes[:, 2:] < np.array(self.size), high, np.inf)
        return np.concatenate([low, high], axis=2).min(axis=2).astype(np.float32)

    def homes(self, boxes: ArrayLike) -> NDArray[np.int64]:
        """The tile in which each box is seen best: whole, and farthest from where it is cut; -1 for none."""
        margins = self.margins(boxes)
        best: NDArray[np.int64] = margins.argmax(axis=1)
        return np.where(margins.max(axis=1) >= 0, best, -1)

    def cuts(self, boxes: ArrayLike, tile: int) -> NDArray[np.bool_]:
        """Does an inner edge of the tile on which a box was found cut it? (N,)"""
        return self.margins(boxes)[:, tile] < EDGE * self.side


def merged(boxes: ArrayLike, scores: ArrayLike, cut: ArrayLike) -> NDArray[np.int64]:
    """Indices of boxes (N, 4) that stay of those found on several tiles, best score first.

    Of whole boxes that are the same thing the best stays (NMS). Of those that are cut, (N,) bool, only what
    no whole one mostly covers: whatever its score, a part loses to the whole.
    """
    found, sure, parted = np.asarray(boxes, np.float32), np.asarray(scores), np.asarray(cut, dtype=bool)
    whole = np.flatnonzero(~parted)
    whole = whole[nms(found[whole], sure[whole], SAME_IOU)]
    parts = np.flatnonzero(parted)
    shared = intersection(found[parts], found[whole]).max(axis=1, initial=0)
    parts = parts[shared <= SAME_COVER * area(found[parts])]
    parts = parts[nms(found[parts], sure[parts], SAME_IOU)]
    kept = np.concatenate([whole, parts])
    return kept[np.argsort(-sure[kept], kind="stable")]


def _spans(length: int, side: int) -> Sequence[tuple[int, int]]:
    """From where to where tiles reach along one axis."""
    if length <= side:
        return [(0, length)]
    overlap = math.ceil(OVERLAP * side)
    count = math.ceil((length - overlap) / (side - overlap))
    return [(start, start + side) for start in np.linspace(0, length - side, count).round().astype(int)]

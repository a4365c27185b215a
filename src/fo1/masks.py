"""`Mask`: which pixels of an image belong to a thing, as run lengths; and its outline as polygons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.errors import RegionError

Ring = NDArray[np.float64]
"""Corners (N, 2), x y in pixels, of a closed outline."""


@dataclass(frozen=True)
class Mask:
    """Pixels of an image of `size` (width, height).

    counts: COCO's uncompressed run lengths: column by column from the top, in turn outside and inside,
        beginning outside.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, pixels: ArrayLike) -> Mask:
        """From (height, width) truth values. Raises `RegionError` for another shape."""
        array = np.asarray(pixels, dtype=bool)
        if array.ndim != 2:
            raise RegionError(f"a mask must have shape (height, width), got {array.shape}")
        column = array.flatten(order="F")
        turns = np.flatnonzero(np.diff(column, prepend=False))
        counts = np.diff(turns, prepend=0, append=len(column))
        return cls((array.shape[1], array.shape[0]), tuple(counts.tolist()))

    @property
    def array(self) -> NDArray[np.bool_]:
        """(height, width)."""
        width, height = self.size
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape((height, width), order="F")

    @property
    def area(self) -> int:
        """Pixels."""
        return sum(self.counts[1::2])

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The tight x1, y1, x2, y2 in pixels; all 0 without pixels."""
        rows, columns = np.nonzero(self.array)
        if not rows.size:
            return 0, 0, 0, 0
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

    def to_rle(self) -> dict[str, list[int]]:
        """As COCO writes it uncompressed; pycocotools' `frPyObjects` packs it."""
        return {"size": [self.size[1], self.size[0]], "counts": list(self.counts)}

    def polygons(self, tolerance: float = 1.0) -> list[Ring]:
        """An outline of each connected part; holes are joined to it by a cut there and back.

        Filled by the even-odd rule, as pycocotools and OpenCV do, it is the mask again. tolerance: how many
        pixels corners may lie beside a straight line and be left out; 0 follows every pixel.
        """
        x1, y1, x2, y2 = self.box
        rings = [ring + (x1, y1) for ring in outlines(self.array[y1:y2, x1:x2])]
        areas = [signed_area(ring) for ring in rings]
        parts = sorted((area, n) for n, area in enumerate(areas) if area > 0)
        joined = {n: [simplified(rings[n], tolerance)] for _, n in parts}
        for ring in (ring for ring, area in zip(rings, areas, strict=True) if area < 0):
            # The pixel below a hole's first edge is of the part that the hole is in: the smallest around it.
            home = next(n for _, n in parts if _contains(rings[n], ring[0] + 0.5))
            joined[home].append(simplified(ring, tolerance))
        return [with_cuts(some) for some in joined.values() if len(some[0]) > 2]


def outlines(pixels: NDArray[np.bool_]) -> list[Ring]:
    """Closed walks along the edges of pixels (height, width): clockwise around parts, the other way in holes.

    Each begins with an edge to the right. Pixels that only share a corner are apart.
    """
    padded = np.pad(pixels, 1).astype(np.int8)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    steps: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edges, sign, start, step in (
        (down, 1, (0, 0), (1, 0)),
        (down, -1, (1, 0), (-1, 0)),
        (across, 1, (0, 1), (0, -1)),
        (across, -1, (0, 0), (0, 1)),
    ):
        for y, x in np.argwhere(edges == sign).tolist():
            steps.setdefault((x + start[0], y + start[1]), []).append(step)
    rings = []
    for first in [place for place, ways in steps.items() if (1, 0) in ways]:
        if (1, 0) in steps[first]:
            rings.append(np.array(_walk(steps, first), dtype=np.float64))
    return rings


def _walk(
    steps: dict[tuple[int, int], list[tuple[int, int]]], first: tuple[int, int]
) -> list[tuple[int, int]]:
    """Corners from `first`, to the right, until it is reached again; steps that were taken are gone."""
    corners, (x, y), (dx, dy) = [first], first, (1, 0)
    steps[first].remove((1, 0))
    while True:
        x, y = x + dx, y + dy
        if (x, y) == first and not (len(steps[first]) and (-dy, dx) in steps[first]):
            return corners
        ways = steps[(x, y)]
        # Where two pixels touch at a corner, the way to the right stays with the same one.
        way = (-dy, dx) if (-dy, dx) in ways else ways[0]
        ways.remove(way)
        if way != (dx, dy):
            corners.append((x, y))
        dx, dy = way


def simplified(ring: Ring, tolerance: float) -> Ring:
    """Without corners within `tolerance` pixels of the line through those that stay (Douglas–Peucker)."""
    if tolerance <= 0 or len(ring) < 4:
        return ring
    far = int(np.argmax(np.linalg.norm(ring - ring[0], axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    kept = {0, far}
    spans = [(0, far), (far, len(ring))]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        off = _distances(closed[start + 1 : end], closed[start], closed[end])
        worst = int(off.argmax())
        if off[worst] > tolerance:
            middle = start + 1 + worst
            kept.add(middle)
            spans += [(start, middle), (middle, end)]
    return ring[sorted(kept)] if len(kept) > 2 else ring


def with_cuts(rings: list[Ring]) -> Ring:
    """One ring of several: from the first corner of the first to each other one, around it, and back."""
    first = rings[0]
    tour = [first]
    for ring in rings[1:]:
        tour += [first[:1], ring, ring[:1]]
    return np.concatenate([*tour, first[:1]] if len(rings) > 1 else tour)


def signed_area(ring: Ring) -> float:
    """Pixels; below 0 if it goes anticlockwise (y points down)."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _distances(points: Ring, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    along = end - start
    length = np.hypot(*along)
    if length == 0:
        return np.linalg.norm(points - start, axis=1)
    dx, dy = (points - start).T
    return np.abs(dx * along[1] - dy * along[0]) / length


def _contains(ring: Ring, point: NDArray[np.float64]) -> bool:
    (x, y), (px, py) = ring.T, point
    x2, y2 = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > py) != (y2 > py)
    at = x[crosses] + (py - y[crosses]) / (y2[crosses] - y[crosses]) * (x2[crosses] - x[crosses])
    return bool((at > px).sum() % 2)

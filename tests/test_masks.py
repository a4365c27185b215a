from __future__ import annotations

import numpy as np
import pytest

from fo1.errors import RegionError
from fo1.masks import Mask, outlines, signed_area, simplified, with_cuts

RING = np.ones((5, 6), dtype=bool)
RING[1:4, 1:4] = False
RING[2, 2] = True  # an island in the hole


def filled(ring: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels whose centres are inside, by the even-odd rule: an own, slow rasteriser."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inside = np.zeros((height, width), dtype=bool)
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def test_run_lengths_go_down_the_columns() -> None:
    mask = Mask.of([[0, 1, 1], [0, 1, 0]])
    assert (mask.size, mask.counts) == ((3, 2), (2, 3, 1))
    assert mask.to_rle() == {"size": [2, 3], "counts": [2, 3, 1]}
    assert (mask.area, mask.box) == (3, (1, 0, 3, 2))


@pytest.mark.parametrize("fill", [True, False])
def test_all_and_nothing(fill: bool) -> None:
    pixels = np.full((4, 7), fill)
    mask = Mask.of(pixels)
    assert np.array_equal(mask.array, pixels) and mask.area == pixels.sum()
    assert mask.box == ((0, 0, 7, 4) if fill else (0, 0, 0, 0))
    assert len(mask.polygons()) == int(fill)
    with pytest.raises(RegionError, match="shape"):
        Mask.of(np.zeros((1, 4, 7)))


@pytest.mark.parametrize("seed", range(12))
def test_polygons_without_tolerance_are_the_mask(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 14, 2)
    pixels = random.random((height, width)) > random.uniform(0.2, 0.8)
    mask = Mask.of(pixels)
    assert np.array_equal(mask.array, pixels)
    parts = [filled(ring, height, width) for ring in mask.polygons(0)]
    assert np.array_equal(np.sum(parts, axis=0) if parts else np.zeros_like(pixels), pixels.astype(int))
    if parts:
        assert np.array_equal(filled(with_cuts(mask.polygons(0)), height, width), pixels)


def test_parts_and_their_holes() -> None:
    ring, island = sorted(Mask.of(RING).polygons(0), key=len, reverse=True)
    assert abs(signed_area(island)) == 1 and abs(signed_area(ring)) == RING.sum() - 1
    assert [len(one) for one in outlines(np.eye(2, dtype=bool))] == [4, 4]  # a shared corner joins nothing


def test_pycocotools_reads_both() -> None:
    coco = pytest.importorskip("faster_coco_eval.core.mask")
    mask = Mask.of(np.pad(RING, ((2, 3), (4, 1))))
    width, height = mask.size
    assert np.array_equal(coco.decode(coco.frPyObjects(mask.to_rle(), height, width)), mask.array)
    polygons = [ring.ravel().tolist() for ring in mask.polygons(0)]
    assert np.array_equal(coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))), mask.array)


def test_a_tolerance_leaves_out_stairs() -> None:
    y, x = np.mgrid[:200, :300]
    disc = (x - 150) ** 2 + (y - 100) ** 2 < 80**2
    (exact,), (short,) = Mask.of(disc).polygons(0), Mask.of(disc).polygons()
    assert len(short) < len(exact) / 8
    kept = filled(short, 200, 300)
    assert (kept & disc).sum() / (kept | disc).sum() > 0.98
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], dtype=float)
    assert np.array_equal(simplified(square, 1), square)

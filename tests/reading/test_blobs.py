from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fo1.reading.blobs import blobs


@pytest.mark.parametrize(
    ("shape", "share"), [((30, 50), 0.5), ((30, 50), 0.2), ((40, 7), 0.4), ((1, 20), 0.5), ((20, 1), 0.5)]
)
def test_as_scipy_labels_them(shape: tuple[int, int], share: float) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = blobs(values, 1 - share)
    parts, count = ndimage.label(values > 1 - share, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    known = [
        (columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(parts)
    ]
    order, known_order = (np.lexsort(np.array(boxes).T) for boxes in (found.xyxy, known))
    np.testing.assert_array_equal(found.xyxy[order], np.array(known)[known_order])
    areas, means = (
        f(values, parts, numbers) for f in (lambda v, p, n: ndimage.sum(v > 0, p, n), ndimage.mean)
    )
    np.testing.assert_array_equal(found.areas[order], areas[known_order])
    np.testing.assert_allclose(found.means[order], means[known_order], rtol=1e-5)


def test_nothing_and_everything() -> None:
    values = np.full((4, 6), 0.5, dtype=np.float32)
    assert len(blobs(values, 0.5).areas) == 0
    assert blobs(values, 0.4).xyxy.tolist() == [[0, 0, 6, 4]]


def test_a_ring_is_one_part_and_what_is_inside_another() -> None:
    ring = np.zeros((9, 9), dtype=np.float32)
    ring[1:8, 1:8], ring[2:7, 2:7], ring[4, 4] = 1, 0, 1
    assert sorted(blobs(ring, 0.5).areas.tolist()) == [1, 24]

"""Box arithmetic on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fo1 import boxes

UNIT = [0, 0, 10, 10]


def test_area_of_inverted_and_empty_boxes_is_zero() -> None:
    assert boxes.area([UNIT, [5, 5, 5, 9], [9, 9, 1, 1], [-2, -2, 2, 2]]).tolist() == [100, 0, 0, 16]


def test_clip_copies() -> None:
    given = np.array([[-5, 2, 30, 40]], dtype=np.float32)
    assert boxes.clip(given, (20, 10)).tolist() == [[0, 2, 20, 10]]
    assert given.tolist() == [[-5, 2, 30, 40]]


def test_intersection_and_iou() -> None:
    others = [UNIT, [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 4]]
    assert boxes.intersection([UNIT], others).tolist() == [[100, 50, 0, 4]]
    assert boxes.iou([UNIT], others)[0] == pytest.approx([1, 1 / 3, 0, 0.04])
    assert boxes.iou([[3, 3, 3, 3]], [[3, 3, 3, 3]]).tolist() == [[0]]


def test_iou_is_symmetric_and_takes_no_boxes() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (20, 2))
    some = np.concatenate([corner, corner + rng.uniform(0, 50, (20, 2))], axis=1)
    assert np.allclose(boxes.iou(some, some), boxes.iou(some, some).T)
    assert np.allclose(np.diag(boxes.iou(some, some)), 1)
    assert boxes.iou([], some).shape == (0, 20)


def test_nms_keeps_the_best_of_each_heap() -> None:
    near = [UNIT, [1, 0, 11, 10], [50, 50, 60, 60]]
    assert boxes.nms(near, [0.5, 0.9, 0.1], 0.5).tolist() == [1, 2]
    assert boxes.nms(near, [0.5, 0.9, 0.1], 0.9).tolist() == [1, 0, 2]


def test_nms_ties_limits_and_nothing() -> None:
    assert boxes.nms([UNIT, UNIT], [0.5, 0.5], 0.5).tolist() == [0]
    assert boxes.nms([UNIT, UNIT, UNIT], [0.1, 0.5, 0.5], 1.0).tolist() == [1, 2, 0]
    assert boxes.nms([], [], 0.5).tolist() == []
    touching = [UNIT, [10, 0, 20, 10]]
    assert boxes.nms(touching, [0.9, 0.8], 0.0).tolist() == [0, 1]


def test_rows_claim_free_columns_in_turn() -> None:
    overlaps = np.array([[0.9, 0.6], [0.95, 0.55], [0.5, 0.4], [0.1, 0.9]], dtype=np.float32)
    before = overlaps.copy()
    assert boxes.claims(overlaps).tolist() == [0, 1, -1, -1]
    assert boxes.claims(overlaps, 0.7).tolist() == [0, -1, -1, 1]
    assert (
        boxes.claims(np.zeros((2, 0))).tolist() == [-1, -1] and boxes.claims(np.zeros((0, 3))).tolist() == []
    )
    assert (overlaps == before).all()

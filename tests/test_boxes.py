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


def test_suppress_drops_the_worse_of_two_nested_boxes() -> None:
    nested = [UNIT, [2, 2, 4, 4], [50, 50, 60, 60]]
    assert boxes.suppress(nested, [0.9, 0.5, 0.7], 0.5, 0.8).tolist() == [0, 2]
    assert boxes.suppress(nested, [0.5, 0.9, 0.7], 0.5, 0.8).tolist() == [1, 2]
    assert boxes.nms(nested, [0.9, 0.5, 0.7], 0.5).tolist() == [0, 2, 1]


def test_suppress_at_its_limits() -> None:
    half_in = [[0, 0, 40, 10], [35, 0, 45, 10]]  # IoU 50 / 450, half of the smaller one shared
    assert boxes.suppress(half_in, [0.9, 0.8], 1.0, 0.5).tolist() == [0, 1]
    assert boxes.suppress(half_in, [0.9, 0.8], 1.0, 0.49).tolist() == [0]
    assert boxes.suppress(half_in, [0.9, 0.8], 0.12, 1.0).tolist() == [0, 1]
    assert boxes.suppress(half_in, [0.9, 0.8], 0.11, 1.0).tolist() == [0]
    assert boxes.suppress([UNIT, UNIT, [1, 1, 2, 2]], [0.1, 0.5, 0.5], 1.0, 1.0).tolist() == [1, 2, 0]


def test_only_boxes_that_stay_suppress_others() -> None:
    """The second goes because of the first; the third is covered by the second alone."""
    chain = [[0, 0, 10, 10], [1, 0, 13, 10], [10, 0, 13, 10]]
    assert boxes.suppress(chain, [0.9, 0.8, 0.7], 0.5, 0.8).tolist() == [0, 2]
    assert boxes.suppress(chain[1:], [0.8, 0.7], 0.5, 0.8).tolist() == [0]


def test_suppress_keeps_boxes_without_area_and_takes_none() -> None:
    odd = [UNIT, [3, 3, 3, 3], [3, 3, 3, 3], [9, 9, 1, 1], [2, 5, 8, 5]]
    assert boxes.suppress(odd, [0.5, 0.4, 0.9, 0.3, 0.2], 0.5, 0.8).tolist() == [2, 0, 1, 3, 4]
    assert boxes.suppress(odd, [0.5, 0.4, 0.9, 0.3, 0.2], 0.0, 0.0).tolist() == [2, 0, 1, 3, 4]
    none = boxes.suppress([], [], 0.5, 0.8)
    assert none.shape == (0,) and none.dtype == np.int64


def test_suppress_without_a_cover_is_nms() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 500, (200, 2))
    some = np.concatenate([corner, corner + rng.uniform(0, 300, (200, 2))], axis=1)
    scores = rng.uniform(size=200)
    given = some.copy()
    assert (boxes.suppress(some, scores, 0.4, 1.0) == boxes.nms(some, scores, 0.4)).all()
    kept = boxes.suppress(some, scores, 0.4, 0.8)
    assert 1 < len(kept) < len(boxes.nms(some, scores, 0.4))
    assert (np.diff(scores[kept]) <= 0).all() and (some == given).all()


def test_rows_claim_free_columns_in_turn() -> None:
    overlaps = np.array([[0.9, 0.6], [0.95, 0.55], [0.5, 0.4], [0.1, 0.9]], dtype=np.float32)
    before = overlaps.copy()
    assert boxes.claims(overlaps).tolist() == [0, 1, -1, -1]
    assert boxes.claims(overlaps, 0.7).tolist() == [0, -1, -1, 1]
    assert (
        boxes.claims(np.zeros((2, 0))).tolist() == [-1, -1] and boxes.claims(np.zeros((0, 3))).tolist() == []
    )
    assert (overlaps == before).all()

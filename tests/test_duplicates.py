from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from fo1 import boxes
from fo1.duplicates import Duplicates
from fo1.rating import Rating
from fo1.reporting import report
from fo1.types import Regions

UNIT = [0, 0, 10, 10]
NESTED = [UNIT, [2, 2, 4, 4], [50, 50, 60, 60]]
HALF_IN = [[0, 0, 40, 10], [35, 0, 45, 10]]  # IoU 50 / 450, half of the smaller one shared


def scattered() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 300, (60, 2))
    return np.concatenate([corner, corner + rng.uniform(0, 200, (60, 2))], axis=1), rng.uniform(size=60)


def kept(rule: Duplicates, some: ArrayLike, scores: ArrayLike) -> list[int]:
    return rule.merge(some, scores)[0].tolist()


def test_the_worse_of_two_nested_boxes_goes() -> None:
    assert kept(Duplicates(0.5, 0.8), NESTED, [0.9, 0.5, 0.7]) == [0, 2]
    assert kept(Duplicates(0.5, 0.8), NESTED, [0.5, 0.9, 0.7]) == [1, 2]
    assert kept(Duplicates(0.5, 1.0, 0.0), NESTED, [0.9, 0.5, 0.7]) == [0, 2, 1]


@pytest.mark.parametrize(
    ("iou", "cover", "indices"), [(1.0, 0.5, [0, 1]), (1.0, 0.49, [0]), (0.12, 1.0, [0, 1]), (0.11, 1.0, [0])]
)
def test_limits(iou: float, cover: float, indices: list[int]) -> None:
    assert kept(Duplicates(iou, cover), HALF_IN, [0.9, 0.8]) == indices


def test_of_equals_the_earlier_stays() -> None:
    same = [UNIT, UNIT, [1, 1, 2, 2]]
    assert kept(Duplicates(1.0, 1.0, 0.0), same, [0.1, 0.5, 0.5]) == [1, 2, 0]
    assert kept(Duplicates(), [UNIT, UNIT], [0.5, 0.5]) == [0]


def test_only_boxes_that_stay_send_others_away() -> None:
    """The second goes because of the first; the third is covered by the second alone."""
    chain = [[0, 0, 10, 10], [1, 0, 13, 10], [10, 0, 13, 10]]
    assert kept(Duplicates(0.5, 0.8), chain, [0.9, 0.8, 0.7]) == [0, 2]
    assert kept(Duplicates(0.5, 0.8), chain[1:], [0.8, 0.7]) == [0]


def test_a_fragment_fades_and_a_neighbour_does_not() -> None:
    some = [UNIT, [7, 0, 17, 10], [20, 0, 30, 10]]  # the second shares 0.3 with the first
    scores = [0.9, 0.6, 0.5]
    rows, faded = Duplicates().merge(some, scores)
    odds = np.array([9, 1.5 / (9 / 1.5) ** (2 * 0.3), 1])
    assert rows.tolist() == [0, 2, 1] and faded.dtype == np.float32
    np.testing.assert_allclose(faded, (odds / (1 + odds))[rows], rtol=1e-5)
    rows, faded = Duplicates(fading=0.0).merge(some, scores)
    assert rows.tolist() == [0, 1, 2] and faded.tolist() == np.float32(scores).tolist()
    assert kept(Duplicates(), some, [0.9, 0.89, 0.88]) == [0, 1, 2]  # as sure as the first


def test_what_a_scene_reports_has_faded() -> None:
    regions = Regions.of([[0, 0, 10, 10], [7, 0, 17, 10]], (40, 40))
    rating = Rating(np.array([[0.9, 0.8]], np.float32), None)
    found = report(regions, ["cup"], rating, 0.0, 0.5, crowded=False)
    assert found.scores[1] < found.confidence["cup"][1] == np.float32(0.8)


def test_which_pairs_are_one_thing() -> None:
    same = Duplicates().same([UNIT, [50, 50, 60, 60]], [[1, 0, 11, 10], [2, 2, 4, 4], [7, 0, 17, 10], UNIT])
    assert same.tolist() == [[True, True, False, True], [False] * 4]


def test_a_temperature_changes_nothing() -> None:
    some, scores = scattered()
    odds = (scores / (1 - scores)) ** 0.5
    cooler, half = odds / (1 + odds), (0.3 / 0.7) ** 0.5
    assert kept(Duplicates(), some, cooler) == kept(Duplicates(), some, scores)
    colder = Duplicates().merge(some, cooler, half / (1 + half))[0]
    assert colder.tolist() == Duplicates().merge(some, scores, 0.3)[0].tolist()


def test_merged_at_any_score_a_threshold_can_follow() -> None:
    some, scores = scattered()
    given = some.copy(), scores.copy()
    rows, faded = Duplicates().merge(some, scores)
    assert (np.diff(faded) <= 0).all() and (faded <= scores[rows] + 1e-6).all()
    for least in (0.1, 0.3, 0.6):
        directly = Duplicates().merge(some, scores, least)
        assert directly[0].tolist() == rows[faded >= least].tolist()
        assert directly[1].tolist() == faded[faded >= least].tolist()
    assert (some == given[0]).all() and (scores == given[1]).all()


def test_boxes_without_area_stay_and_nothing_is_nothing() -> None:
    odd = [UNIT, [3, 3, 3, 3], [3, 3, 3, 3], [9, 9, 1, 1], [2, 5, 8, 5]]
    for rule in (Duplicates(0.5, 0.8), Duplicates(0.0, 0.0)):
        assert kept(rule, odd, [0.5, 0.4, 0.9, 0.3, 0.2]) == [2, 0, 1, 3, 4]
    rows, faded = Duplicates().merge([], [])
    assert rows.shape == faded.shape == (0,) and rows.dtype == np.int64


def test_without_cover_and_fading_it_is_nms() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 500, (200, 2))
    some = np.concatenate([corner, corner + rng.uniform(0, 300, (200, 2))], axis=1)
    scores = rng.uniform(size=200)
    assert kept(Duplicates(0.4, 1.0, 0.0), some, scores) == boxes.nms(some, scores, 0.4).tolist()
    assert 1 < len(kept(Duplicates(0.4, 0.8, 0.0), some, scores)) < len(boxes.nms(some, scores, 0.4))

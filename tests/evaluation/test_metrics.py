from __future__ import annotations

import math

import numpy as np
import pytest

from fo1.evaluation.metrics import Tally, matched, ranking, share

LEFT, RIGHT = [0, 0, 10, 10], [20, 0, 30, 10]
ALMOST_LEFT = [0, 0, 10, 8]  # IoU 0.8 with LEFT
HALF_LEFT = [0, 0, 10, 5]  # IoU 0.5
LESS_LEFT = [0, 0, 10, 4.9]


@pytest.mark.parametrize(
    ("predicted", "truth", "hits"),
    [
        ([LEFT, RIGHT], [RIGHT, LEFT], 2),
        ([LEFT], [LEFT, RIGHT], 1),
        ([LEFT, ALMOST_LEFT], [LEFT], 1),
        ([LEFT, ALMOST_LEFT], [LEFT, LEFT], 2),
        ([HALF_LEFT], [LEFT], 1),
        ([LESS_LEFT], [LEFT], 0),
        ([], [LEFT], 0),
        ([LEFT], [], 0),
        ([], [], 0),
    ],
)
def test_each_true_box_is_found_once(predicted: list, truth: list, hits: int) -> None:
    assert matched(predicted, truth, np.ones(len(predicted))) == hits


def test_the_best_score_chooses_first() -> None:
    between = [2, 0, 12, 10]  # IoU 0.67 with LEFT and 0.67 with the other
    other = [4, 0, 14, 10]
    # `between` takes the first of two equals, LEFT; the exact LEFT is then left with `other` (IoU 0.43).
    assert matched([between, LEFT], [LEFT, other], [0.9, 0.8]) == 1
    assert matched([between, LEFT], [LEFT, other], [0.8, 0.9]) == 2


def test_a_stricter_threshold_finds_less() -> None:
    assert [matched([ALMOST_LEFT], [LEFT], [1.0], t) for t in (0.5, 0.8, 0.81)] == [1, 1, 0]


def naive(positive: list[float], negative: list[float]) -> float:
    return sum((p > n) + (p == n) / 2 for p in positive for n in negative) / (len(positive) * len(negative))


@pytest.mark.parametrize("seed", range(8))
def test_ranking_is_the_chance_to_score_higher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.integers(2, 12, rng.integers(1, 40)).tolist()  # whole numbers: many ties
    negative = rng.integers(0, 10, rng.integers(1, 40)).tolist()
    assert ranking(positive, negative) == pytest.approx(naive(positive, negative))


def test_ranking_at_its_ends() -> None:
    assert ranking([0.9, 0.8], [0.1]) == 1
    assert ranking([0.1], [0.9, 0.8]) == 0
    assert ranking([0.5], [0.5]) == 0.5
    assert math.isnan(ranking([], [0.5])) and math.isnan(ranking([0.5], []))


def test_a_tally_by_hand() -> None:
    tally = Tally()
    tally.add_present([LEFT, RIGHT], np.array([0.9, 0.8], np.float32), [LEFT, RIGHT])  # both, none too many
    tally.add_present([LEFT, LEFT, RIGHT], np.array([0.9, 0.8, 0.7], np.float32), [LEFT])  # two too many
    tally.add_present(np.zeros((0, 4)), np.zeros(0, np.float32), [RIGHT])  # missed
    tally.add_absent(0)
    tally.add_absent(0)
    tally.add_absent(3)
    tally.named, tally.described, tally.namings = 1, 2, 4
    tally.add_confidence(
        np.array([0.9, 0.5, 0.4, 0.2], np.float32), np.array([0.5, 0.4, 0.29, 0.0], np.float32)
    )
    tally.add_confidence(np.array([0.3], np.float32), np.array([0.8], np.float32))
    precision, recall = 3 / 8, 3 / 4
    assert tally.results() == pytest.approx(
        {
            "F1": 2 * precision * recall / (precision + recall),
            "precision": precision,
            "recall": recall,
            "refused": 2 / 3,
            "count exact": 1 / 3,
            "count within one": 2 / 3,
            "naming": 1 / 4,
            "describing": 2 / 4,
            "AUC": 3 / 4,  # (0.9, 0.3) against (0.4, 0.2); an overlap of 0.4 is neither
            "objects": 4,
            "absent labels": 3,
            "failed": 0,
        }
    )


def test_an_empty_tally_is_all_zero() -> None:
    results = Tally().results()
    assert math.isnan(results.pop("AUC"))
    assert set(results.values()) == {0}


def test_a_share_of_nothing_is_nothing() -> None:
    assert share(3, 4) == 0.75 and share(0, 0) == 0

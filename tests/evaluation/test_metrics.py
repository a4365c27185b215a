from __future__ import annotations

import math

import numpy as np
import pytest

from fo1.evaluation.metrics import ranking, share


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


def test_a_share_of_nothing_is_nothing() -> None:
    assert share(3, 4) == 0.75 and share(0, 0) == 0

from __future__ import annotations

import numpy as np
import pytest

from evaluation.answers import grounded
from fo1.evaluation.matching import f1, match
from fo1.evaluation.truth import BoxTruth

CATS = BoxTruth.of([[0, 0, 10, 10], [20, 0, 30, 10]], ["cat", "cat"], ["dog"])


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_each_thing_is_found_once_by_the_best_box() -> None:
    matched = match(boxes([0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 11], [50, 0, 60, 10]), CATS, "cat")
    assert matched.found.tolist() == [0, -1, 1, -1]
    assert matched.hits.tolist() == [True, False, True, False] and matched.counts.all()
    assert not match(boxes([0, 0, 10, 10]), CATS, "dog").hits.any()
    assert match(boxes(), CATS, "cat").found.shape == (0,)


def test_crowds_and_partial_labels_forgive() -> None:
    truth = BoxTruth.of([[0, 0, 10, 10], [20, 0, 90, 40]], ["cat", "cat"], crowd=[False, True])
    matched = match(boxes([30, 5, 40, 15], [31, 5, 41, 15], [85, 0, 105, 40]), truth, "cat")
    assert matched.counts.tolist() == [False, False, True] and not matched.hits.any()
    partial = BoxTruth.of([[0, 0, 10, 10]], ["cat"], partial=["cat"])
    matched = match(boxes([0, 0, 10, 10], [50, 0, 60, 10]), partial, "cat")
    assert matched.hits.tolist() == matched.counts.tolist() == [True, False]


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ({"cat": [0.9, 0.8, 0.1], "dog": [0.1, 0.1, 0.1]}, 1.0),
        ({"cat": [0.9, 0.1, 0.1], "dog": [0.1, 0.1, 0.1]}, 2 / 3),
        ({"cat": [0.9, 0.8, 0.7], "dog": [0.9, 0.1, 0.1]}, 4 / 6),
        ({"cat": [0.9, 0.8, 0.1], "dog": [0, 0, 0], "not asked": [0.9, 0.9, 0.9]}, 1.0),
    ],
)
def test_f1_by_hand(scores: dict[str, list[float]], wanted: float) -> None:
    answer = grounded([[0, 0, 10, 10], [20, 0, 30, 10], [50, 0, 60, 10]], scores)
    assert f1(answer.to_json(), CATS) == pytest.approx(wanted)


def test_f1_of_nothing() -> None:
    nothing = BoxTruth.of([], [], ["dog"])
    assert f1(grounded([[0, 0, 9, 9]], {"dog": [0.1]}).to_json(), nothing) == 1
    assert f1(grounded([[0, 0, 9, 9]], {"dog": [0.9]}).to_json(), nothing) == 0
    assert f1(None, nothing) == 0, "a failed sample"

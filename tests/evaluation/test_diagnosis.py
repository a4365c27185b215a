from __future__ import annotations

import numpy as np
import pytest

from evaluation.answers import grounded
from fo1.evaluation.diagnosis import Fault, Miss, faults, missed
from fo1.evaluation.truth import BoxTruth

CUP, FORK = [0, 0, 20, 20], [100, 0, 140, 20]


def one_miss(regions: list[list[float]], scores: list[float]) -> tuple[Miss, int]:
    (only,) = missed(grounded(regions, {"cup": scores}), BoxTruth.by_label({"cup": [CUP]}), 0.5)
    assert only.thing == 0
    return only.why, only.region


def test_nothing_was_proposed() -> None:
    assert one_miss([[0, 0, 20, 9], FORK], [0.9, 0.1]) == (Miss.unproposed, -1)


def test_the_best_region_scored_too_low() -> None:
    assert one_miss([FORK, [0, 0, 20, 18], CUP], [0.9, 0.2, 0.4]) == (Miss.unsure, 2)


def test_a_box_is_taken_for_another_thing() -> None:
    truth = BoxTruth.by_label({"cup": [CUP, [0, 0, 20, 14]]})
    (only,) = missed(grounded([CUP], {"cup": [0.9]}), truth, 0.5)
    assert only == (1, Miss.merged, 0)


def test_a_suppressed_region_is_merged_away() -> None:
    answer = grounded([[0, 0, 20, 45], CUP], {"cup": [0.9, 0.8]})
    answer.ranked["cup"] = answer.named["cup"] = (0,)
    (only,) = missed(answer, BoxTruth.by_label({"cup": [CUP]}), 0.5)
    assert only == (0, Miss.merged, 1)


def test_what_is_found_or_a_crowd_is_not_missed() -> None:
    truth = BoxTruth.of([CUP, FORK], ["cup", "cup"], crowd=[False, True])
    assert list(missed(grounded([CUP], {"cup": [0.9]}), truth, 0.5)) == []


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (CUP, Fault.again),
        ([0, 0, 20, 8], Fault.loose),
        (FORK, Fault.other),
        ([100, 0, 140, 8], Fault.near),
        ([100, 0, 140, 1.9], Fault.nothing),
        ([0, 50, 20, 70], Fault.nothing),
    ],
)
def test_what_a_wrong_box_shows(box: list[float], why: Fault) -> None:
    truth = BoxTruth.by_label({"cup": [CUP], "fork": [FORK]})
    answer = grounded([CUP, box, FORK], {"cup": [0.9, 0.8, 0], "fork": [0, 0, 0.9]})
    assert list(faults(answer, truth)) == [("cup", 1, why)]


def test_every_box_of_an_absent_label_is_wrong() -> None:
    truth = BoxTruth.by_label({"cup": [CUP]}, ["dog"])
    found = faults(grounded([CUP, FORK], {"cup": [0.9, 0], "dog": [0.6, 0.7]}), truth)
    assert list(found) == [("dog", 1, Fault.nothing), ("dog", 0, Fault.other)]


def test_labels_that_are_marked_in_part_are_not_judged() -> None:
    truth = BoxTruth.of([CUP], ["cup"], partial=["cup"])
    assert list(faults(grounded([FORK], {"cup": [0.9]}), truth)) == []
    assert [one.why for one in missed(grounded([FORK], {"cup": [0.9]}), truth, 0.5)] == [Miss.unproposed]


def test_a_truth_of_no_things() -> None:
    answer = grounded(np.zeros((0, 4)).tolist(), {"cup": []})
    assert list(missed(answer, BoxTruth.by_label({"cup": [CUP]}), 0.5)) == [(0, Miss.unproposed, -1)]
    assert list(faults(answer, BoxTruth.by_label({}, ["cup"]))) == []

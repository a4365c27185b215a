from __future__ import annotations

import numpy as np
import pytest

from fo1.ordering import meant
from fo1.prompts.referring import Reference, refer
from fo1.types import Regions

BOXES = [[0, 40, 20, 60], [40, 0, 80, 40], [70, 60, 95, 85], [1, 41, 20, 60], [45, 90, 50, 95]]
REGIONS = Regions.of(BOXES, (100, 100))  # three cups, the first once more, and something in the middle below
CUPS = np.array([[0.9, 0.8, 0.7, 0.5, 0.01]], np.float32)
PLATE = np.array([[0.01, 0.02, 0.01, 0.01, 0.9]], np.float32)


def chances(phrase: str, *scores: np.ndarray) -> np.ndarray:
    reference = refer(phrase)
    assert reference is not None
    return meant(REGIONS, np.concatenate(scores), reference)


@pytest.mark.parametrize(
    ("phrase", "region"),
    [
        ("the left cup", 0),
        ("the right cup", 2),
        ("the top cup", 1),
        ("the bottom cup", 2),
        ("the biggest cup", 1),
        ("the second cup from the left", 1),
        ("the second cup from the right", 1),
        ("the third cup", 2),
        ("the second biggest cup", 2),
        ("the middle cup", 1),
        ("the bottom right cup", 2),
    ],
)
def test_the_one_that_comes_first(phrase: str, region: int) -> None:
    assert chances(phrase, CUPS).argmax() == region


def test_chances_are_of_one_thing() -> None:
    for rank in (1, 2, 3):
        found = meant(REGIONS, CUPS, Reference("cup", ("left",), rank))
        assert found.dtype == np.float32 and (found >= 0).all() and found.sum() <= CUPS.max() + 1e-6
    assert meant(REGIONS, CUPS, Reference("cup", ("left",)))[3] == 0  # the first once more


def test_a_fourth_of_three_is_unlikely() -> None:
    assert meant(REGIONS, CUPS, Reference("cup", ("left",), 4)).max() < 0.05


def test_what_is_not_there_is_in_no_place() -> None:
    assert chances("the left cup", CUPS / 100).max() < 0.01


def test_one_doubtful_thing_is_the_left_one() -> None:
    found = meant(
        REGIONS, np.array([[0.001, 0.001, 0.5, 0.001, 0.001]], np.float32), Reference("cup", ("left",))
    )
    assert found.argmax() == 2 and found[2] > 0.4


@pytest.mark.parametrize(
    ("phrase", "region"),
    [
        ("the cup left of the plate", 0),
        ("the cup to the right of the plate", 2),
        ("the cup next to the plate", 2),
        ("the top cup above the plate", 1),
        ("the top cup behind the plate", 1),
    ],
)
def test_beside_another_thing(phrase: str, region: int) -> None:
    assert chances(phrase, CUPS, PLATE).argmax() == region


def test_what_stands_higher_in_the_picture_is_behind() -> None:
    standing = Regions.of([[0, 0, 20, 60], [30, 20, 50, 80], [60, 40, 80, 100]], (100, 100))
    dogs, man = np.array([[0.9, 0.1, 0.9]], np.float32), np.array([[0.01, 0.9, 0.01]], np.float32)
    for phrase, region in (("the dog behind the man", 0), ("the dog in front of the man", 2)):
        reference = refer(phrase)
        assert reference is not None
        assert meant(standing, np.concatenate([dogs, man]), reference).argmax() == region


def test_beside_a_thing_that_is_not_there() -> None:
    assert chances("the cup left of the plate", CUPS, PLATE / 100).max() < 0.01
    assert chances("the cup below the plate", CUPS, PLATE).max() < 0.2


def test_nothing_is_beside_itself() -> None:
    alone = np.array([[0.9, 0.0, 0.0, 0.8, 0.0]], np.float32)
    assert chances("the cup near the cup", alone, alone).max() < 0.1


def test_no_regions() -> None:
    nothing = Regions.of(np.zeros((0, 4)), (100, 100))
    assert meant(nothing, np.zeros((1, 0), np.float32), Reference("cup", ("left",))).shape == (0,)


def test_nothing_is_changed() -> None:
    given = CUPS.copy()
    meant(REGIONS, given, Reference("cup", ("left",)))
    assert (given == CUPS).all()

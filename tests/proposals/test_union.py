from __future__ import annotations

import numpy as np
import pytest

from fo1.errors import RegionError
from fo1.proposals.given import GivenBoxes
from fo1.proposals.proposer import Selection, key_of
from fo1.proposals.union import Union
from fo1.types import Regions
from tiny import StubProposer, picture

SIZE = (80, 60)


def given(boxes: list, scores: list, labels: list | None = None) -> GivenBoxes:
    return GivenBoxes([Regions.of(boxes, SIZE, scores, labels)])


def test_each_thing_once_by_its_best_box_and_whose_it_was() -> None:
    one = given([[0, 0, 20, 20], [40, 0, 60, 20]], [0.9, 0.3], ["cat", "dog"])
    two = given([[1, 0, 21, 20], [40, 0, 60, 21], [0, 40, 20, 60]], [0.8, 0.5, 0.1], ["a", "b", "c"])
    (found,) = Union([("one", one), ("two", two)]).sourced([picture(0)])
    assert found.sources == ("one", "two", "two")
    assert found.regions.labels == ("cat", "b", "c")
    assert found.regions.scores.tolist() == pytest.approx([0.9, 0.5, 0.1])
    (plain,) = Union([("one", one), ("two", two)]).propose([picture(0)])
    assert np.array_equal(plain.xyxy, found.regions.xyxy)


def test_labels_need_every_member_to_give_some() -> None:
    one, two = given([[0, 0, 9, 9]], [0.9], ["cat"]), given([[40, 0, 60, 20]], [0.5])
    (found,) = Union([("one", one), ("two", two)]).propose([picture(0)])
    assert len(found) == 2 and found.labels is None


def test_members_that_find_nothing() -> None:
    nothing = StubProposer([])
    union = Union([("a", nothing), ("b", given([[0, 0, 9, 9]], [0.5]))])
    assert [len(one) for one in union.propose([picture(0)])] == [1]
    assert [len(one) for one in Union([("a", nothing), ("b", nothing)]).propose([picture(0)] * 2)] == [0, 0]
    with pytest.raises(RegionError, match="at least one"):
        Union([])


def test_the_selection_is_for_all_together() -> None:
    some = given([[0, 0, 9, 9], [40, 0, 60, 20]], [0.9, 0.3])
    other = given([[0, 40, 20, 60]], [0.6])
    (found,) = Union([("a", some), ("b", other)], Selection(top_k=2)).sourced([picture(0)])
    assert found.sources == ("a", "b")


def test_its_key_names_its_members() -> None:
    union = Union([("mine", StubProposer([]))])
    assert union.key.startswith("mine ") and key_of(union, "x") == union.key
    assert key_of(StubProposer([]), "x") == "x"

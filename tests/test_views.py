from __future__ import annotations

import pytest

from fo1.errors import PromptError
from fo1.model import RegionModel
from fo1.types import Regions
from fo1.views import View, views
from tiny import picture


@pytest.mark.parametrize(
    ("scores", "named", "rows"),
    [
        ([0.1, 0.9, 0.5], [], (0, 1, 2)),
        ([0.1, 0.9, 0.5, 0.3], [], (1, 2, 3)),
        ([0.1, 0.9, 0.5, 0.3], [0], (0, 1, 2)),
        ([0.1, 0.9, 0.5, 0.3], [3, 0, 3], (0, 1, 3)),
        ([0.1, 0.9, 0.5, 0.3], [4, 99], (1, 2, 3)),
        ([1, 1, 1, 1, 1], [4], (0, 1, 4)),
        ([], [2], ()),
    ],
)
def test_those_named_then_the_best(scores: list[float], named: list[int], rows: tuple[int, ...]) -> None:
    assert View.best(scores, 3, named) == View(rows, len(scores))


def test_more_named_than_fit() -> None:
    assert View.best([1] * 9, 3, [5, 6, 7, 5, 99]).rows == (5, 6, 7)
    with pytest.raises(PromptError, match="4 regions are named; the model can read 3 at once"):
        View.best([1] * 9, 3, [5, 6, 7, 8])


@pytest.mark.parametrize(
    ("total", "parts"),
    [
        (0, [[]]),
        (2, [[0, 1]]),
        (3, [[0, 1, 2]]),
        (4, [[0, 1, 2], [3]]),
        (7, [[0, 1, 2], [3, 4, 5], [6]]),
    ],
)
def test_all_regions_in_parts_that_fit(total: int, parts: list[list[int]]) -> None:
    assert [list(view.rows) for view in views(total, 3)] == parts
    assert {view.total for view in views(total, 3)} == {total}
    assert all(view.complete for view in views(total, 3)) == (total <= 3)


def test_every_part_shows_what_is_named() -> None:
    assert [view.rows for view in views(7, 3, [4, 9, 4])] == [(0, 1, 4), (2, 3, 4), (4, 5, 6)]
    assert [view.rows for view in views(3, 3, [0, 1, 2])] == [(0, 1, 2)]
    with pytest.raises(PromptError, match="3 regions are named; the model can read 2"):
        views(7, 3, [0, 1, 2])


def test_texts_change_their_numbers_on_the_way_in_and_out() -> None:
    view = View((1, 4, 6), 8)
    assert view.inward("<region4> and <region6>, <region8>") == "<region1> and <region2>, <region8>"
    assert view.outward("<region1><region2>") == "<region4><region6>"
    assert view.outward("<region3>") == "<region11>", "unknown here, unknown there"
    assert view.inward("<region1><region6>", known=5) == "<region0><region6>"


def test_a_complete_view_changes_nothing(tiny_model: RegionModel) -> None:
    view, text = View((0, 1), 2), "<region1> <region01> <region7>"
    assert view.outward(text) == text
    (encoded,) = tiny_model.encode([picture(0)], [Regions.of([[0, 0, 9, 9], [5, 5, 30, 30]], (80, 60))])
    assert view.of(encoded) is encoded
    assert View((1,), 2).of(encoded).regions.xyxy.tolist() == [[5, 5, 30, 30]]

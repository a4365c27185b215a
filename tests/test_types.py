"""`Regions` checks what it is given and cannot be changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fo1.errors import Fo1Error, RegionError
from fo1.types import Regions

SIZE = (40, 30)
BOX = [1.0, 2.0, 3.0, 4.0]


def test_of_fills_in_scores() -> None:
    regions = Regions.of([BOX, BOX], SIZE)
    assert regions.xyxy.dtype == np.float32 and regions.xyxy.tolist() == [BOX, BOX]
    assert regions.scores.tolist() == [1, 1]
    assert (len(regions), regions.labels, regions.image_size) == (2, None, SIZE)


def test_nothing_shares_memory_and_nothing_can_be_written() -> None:
    given = np.array([BOX], dtype=np.float32)
    regions = Regions.of(given, SIZE)
    given[:] = 9
    assert regions.xyxy.tolist() == [BOX]
    with pytest.raises(ValueError, match="read-only"):
        regions.xyxy[0, 0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        regions.image_size = (1, 1)  # type: ignore[misc]


def test_empty_is_a_proper_value() -> None:
    for regions in (Regions.empty(SIZE), Regions.of([], SIZE), Regions.of(np.zeros((0, 4)), SIZE)):
        assert len(regions) == 0
        assert regions.xyxy.shape == (0, 4) and regions.scores.shape == (0,)


def test_boxes_outside_inverted_or_empty_are_kept_as_they_are() -> None:
    odd = [[-50, -50, 500, 500], [9, 9, 1, 1], [5, 5, 5, 5], [100, 100, 120, 120]]
    assert Regions.of(odd, SIZE).xyxy.tolist() == odd


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_must_be_finite(bad: float) -> None:
    with pytest.raises(RegionError, match="entry 1"):
        Regions.of([BOX, [0, 0, bad, 1]], SIZE)
    with pytest.raises(RegionError, match="scores"):
        Regions.of([BOX], SIZE, scores=[bad])


@pytest.mark.parametrize(
    "boxes",
    [BOX, [[1, 2, 3]], [[BOX]], [["a", "b", "c", "d"]], [BOX, [1, 2]], [[0, 0, 1, 10**400]], 5, None, [None]],
)
def test_shapes_and_types(boxes: object) -> None:
    with pytest.raises(RegionError, match="boxes"):
        Regions.of(boxes, SIZE)  # type: ignore[arg-type]


def test_lengths_must_agree() -> None:
    with pytest.raises(RegionError, match="scores"):
        Regions.of([BOX], SIZE, scores=[0.1, 0.2])
    with pytest.raises(RegionError, match="2 labels for 1 boxes"):
        Regions.of([BOX], SIZE, labels=["a", "b"])


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_image_size_must_be_positive(size: tuple[int, int]) -> None:
    with pytest.raises(RegionError, match="image_size"):
        Regions.empty(size)


def test_take_reorders_everything() -> None:
    regions = Regions.of([[0, 0, i, i] for i in range(3)], SIZE, [0.1, 0.2, 0.3], ["a", "b", "c"])
    taken = regions.take([2, 0])
    assert taken.xyxy[:, 2].tolist() == [2, 0]
    assert taken.scores.tolist() == pytest.approx([0.3, 0.1])
    assert taken.labels == ("c", "a")
    assert len(regions.take([])) == 0


def test_errors_are_value_errors() -> None:
    assert issubclass(RegionError, Fo1Error) and issubclass(Fo1Error, ValueError)

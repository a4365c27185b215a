from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fo1.errors import RegionError
from fo1.tiles import AUTO_SIDE, OVERLAP, Tiling, merged, tile_side

SIZES = [(4000, 3000), (300, 200), (257, 129), (65, 64), (64, 65), (1, 1), (20000, 3), (3, 20000), (1000, 1)]


@pytest.mark.parametrize("side", [64, 100, 129])
@pytest.mark.parametrize("size", SIZES)
def test_tiles_cover_every_pixel_and_overlap(size: tuple[int, int], side: int) -> None:
    boxes = Tiling.of(size, side).boxes
    for axis, length in enumerate(size):
        spans = sorted(set(map(tuple, boxes[:, axis::2].tolist())))
        assert spans[0][0] == 0 and spans[-1][1] == length
        assert {high - low for low, high in spans} == {min(side, length)}
        for before, after in pairwise(spans):
            assert before[1] - after[0] >= OVERLAP * side
    rows, columns = (len(set(map(tuple, boxes[:, axis::2].tolist()))) for axis in (0, 1))
    assert len(boxes) == rows * columns


def test_tiles_are_no_more_than_needed() -> None:
    assert Tiling.of((100, 64), 64).boxes.tolist() == [[0, 0, 64, 64], [36, 0, 100, 64]]
    assert len(Tiling.of((64, 64), 64)) == len(Tiling.of((64, 10), 1000)) == 1


@pytest.mark.parametrize("size", SIZES[1:4])
def test_what_is_smaller_than_the_overlap_lies_whole_in_some_tile(size: tuple[int, int]) -> None:
    tiling = Tiling.of(size, 64)
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1, (500, 2)) * (np.array(size) - 16)
    boxes = np.concatenate([corner, corner + rng.uniform(0, 16, (500, 2))], axis=1).astype(np.float32)
    homes = tiling.homes(boxes)
    assert (homes >= 0).all()
    assert (tiling.boxes[homes][:, :2] <= boxes[:, :2]).all()
    assert (tiling.boxes[homes][:, 2:] >= boxes[:, 2:]).all()


@pytest.mark.parametrize("size", [(100, 100), (4000, 3000), (20000, 500), (12000, 12000), (30000, 40)])
def test_auto_tiles_are_of_photo_size_and_not_too_many(size: tuple[int, int]) -> None:
    assert tile_side(size, "auto") >= AUTO_SIDE
    assert len(Tiling.of(size, "auto")) <= 90
    assert tile_side((4000, 3000), "auto") == AUTO_SIDE


@pytest.mark.parametrize("tiles", [0, -5, 63, True])
def test_tiles_too_small(tiles: int) -> None:
    with pytest.raises(RegionError, match=f"at least 64 pixels, got {int(tiles)}"):
        Tiling.of((100, 100), tiles)


@pytest.mark.parametrize("tiles", [640.0, "640", "all", [640]])
def test_tiles_that_are_no_number(tiles: object) -> None:
    with pytest.raises(RegionError, match='must be "auto" or a side in pixels'):
        Tiling.of((100, 100), tiles)  # type: ignore[arg-type]


def test_a_box_is_at_home_where_it_is_farthest_from_a_cut() -> None:
    tiling = Tiling.of((160, 64), 100)  # 0–100 and 60–160
    boxes = [
        [0, 0, 10, 10],
        [62, 0, 70, 64],  # 30 pixels from the first one's edge, 2 from the second's
        [85, 5, 98, 20],
        [-20, -5, 50, 90],  # what lies outside the image is no cut
        [150, 0, 400, 64],
        [50, 0, 110, 10],  # in neither
    ]
    assert tiling.homes(boxes).tolist() == [0, 0, 1, 0, 1, -1]
    assert tiling.margins(boxes)[:3].tolist() == [[90, -60], [30, 2], [2, 25]]
    assert tiling.homes(np.zeros((0, 4))).shape == (0,)


def test_only_inner_edges_cut() -> None:
    tiling = Tiling.of((160, 64), 100)
    boxes = [[0, 0, 50, 64], [40, 0, 99, 20], [40, 0, 95, 20], [61, 0, 160, 64]]
    assert tiling.cuts(boxes[:3], 0).tolist() == [False, True, False]
    assert tiling.cuts(boxes[3:], 1).tolist() == [True]
    assert not Tiling.of((64, 64), 64).cuts([[0, 0, 64, 64]], 0).any()


def test_of_the_same_thing_on_two_tiles_the_best_stays() -> None:
    boxes = [[0, 0, 20, 20], [1, 0, 20, 20], [50, 50, 70, 70]]
    assert merged(boxes, [0.4, 0.9, 0.5], [False] * 3).tolist() == [1, 2]


def test_a_part_loses_to_the_whole_whatever_its_score() -> None:
    whole, part, other = [0, 0, 40, 20], [0, 0, 12, 20], [80, 0, 100, 20]
    assert merged([whole, part, other], [0.2, 0.9, 0.1], [False, True, True]).tolist() == [0, 2]
    assert merged([part, other, other], [0.2, 0.5, 0.9], [True] * 3).tolist() == [2, 0]


def test_a_thing_on_another_stays() -> None:
    plate, apple = [0, 0, 100, 100], [40, 40, 60, 60]
    assert merged([plate, apple], [0.9, 0.3], [False, False]).tolist() == [0, 1]


def test_nothing_to_merge() -> None:
    assert merged(np.zeros((0, 4)), [], []).tolist() == []

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.regions.branches import LevelBranch, PyramidBranch, ScaleBranch
from fo1.regions.pooling import pool_boxes

FRAME = Frame((64, 64), (64, 64))


def grids(*shapes: tuple[int, int], seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(channels, side, side, generator=generator) for channels, side in shapes)


def painted(maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same maps with other values in the top left quarter."""
    copies = tuple(m.clone() for m in maps)
    for m in copies:
        m[:, : m.shape[1] // 2, : m.shape[2] // 2] += 3.0
    return copies


CORNERS = torch.tensor([[2.0, 2.0, 14.0, 14.0], [48.0, 48.0, 62.0, 62.0]])


@pytest.mark.parametrize(
    ("branch", "maps", "strides"),
    [
        (LevelBranch((3, 5)), grids((3, 16), (5, 8)), (4.0, 8.0)),
        (LevelBranch((3, 5), aligned=True), grids((3, 16), (5, 8)), (4.0, 8.0)),
        (LevelBranch((3, 5), resize_to_first=True), grids((3, 16), (5, 8)), (4.0, 8.0)),
        (
            ScaleBranch((3, 5), (32, 64), (0.0, 0.0), canonical=13.0),
            grids((3, 8), (5, 4), (3, 16), (5, 8)),
            (8.0, 16.0, 4.0, 8.0),
        ),
    ],
    ids=["levels", "aligned", "resized", "scales"],
)
def test_a_painted_corner_changes_only_what_lies_there(branch, maps, strides) -> None:
    plain = branch(FeatureMaps(maps, strides, FRAME), CORNERS)
    after = branch(FeatureMaps(painted(maps), strides, FRAME), CORNERS)
    assert plain.shape == (2, branch.out_channels) and plain.dtype == torch.float32
    assert torch.equal(plain[1], after[1])
    torch.testing.assert_close(after[0], plain[0] + 3.0, atol=1e-5, rtol=0)


def test_a_pyramid_reads_near_its_box() -> None:
    torch.manual_seed(0)
    branch = PyramidBranch(16, out_channels=4).eval()
    (grid,) = grids((16, 16))
    near = grid.clone()
    near[:, :3, :3] += 3.0
    with torch.no_grad():
        plain = branch(FeatureMaps((grid,), (4.0,), FRAME), CORNERS)
        after = branch(FeatureMaps((near,), (4.0,), FRAME), CORNERS)
    assert plain.shape == (2, 16) == (2, branch.out_channels)
    assert torch.equal(plain[1], after[1])
    assert not torch.allclose(plain[0], after[0])


def test_levels_are_concatenated_in_order_and_the_rest_is_ignored() -> None:
    maps = grids((3, 16), (5, 8), (7, 4))
    branch = LevelBranch((3, 5))
    pooled = branch(FeatureMaps(maps, (4.0, 8.0, 16.0), FRAME), CORNERS)
    expected = [pool_boxes(maps[0], CORNERS, 4.0), pool_boxes(maps[1], CORNERS, 8.0)]
    assert torch.equal(pooled, torch.cat(expected, dim=1))


def test_without_a_pyramid_a_towers_levels_are_pooled_alike() -> None:
    """Four maps tapped at different depths of a ViT have one stride; together they are 4 × as wide."""
    maps = grids(*[(6, 16)] * 4)
    branch = LevelBranch((6,) * 4)
    pooled = branch(FeatureMaps(maps, (4.0,) * 4, FRAME), CORNERS)
    assert branch.out_channels == 24
    assert torch.equal(pooled, torch.cat([pool_boxes(m, CORNERS, 4.0) for m in maps], dim=1))


def test_more_bins_sample_more_finely() -> None:
    """`bins` reaches the pooling: with 14 of them a box is sampled at other places than with 7."""
    features = FeatureMaps(grids((6, 16)), (4.0,), FRAME)
    seven, fourteen = LevelBranch((6,), bins=7), LevelBranch((6,), bins=14)
    assert torch.equal(fourteen(features, CORNERS), pool_boxes(features.maps[0], CORNERS, 4.0, bins=14))
    assert not torch.equal(seven(features, CORNERS), fourteen(features, CORNERS))
    torch.manual_seed(0)
    pyramid = PyramidBranch(6, out_channels=4, bins=14).eval()
    first = pool_boxes(pyramid.pyramid(features.maps[0])[0], CORNERS, 1.0, bins=14)
    assert torch.equal(pyramid(features, CORNERS)[:, :4], first)


def test_pooling_makes_no_map_of_all_levels() -> None:
    """Nothing is larger than the finest map, though all levels are read at its resolution."""
    maps = grids((8, 32), (16, 16), (32, 8), (64, 4))
    features = FeatureMaps(maps, (2.0, 4.0, 8.0, 16.0), FRAME)
    with LargestTensor() as seen:
        LevelBranch((8, 16, 32, 64), resize_to_first=True)(features, CORNERS)
    assert 0 < seen.numel <= maps[0].numel()


class LargestTensor(TorchDispatchMode):
    """Counts the numbers of the largest tensor that any operation gives out."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.numel = max(self.numel, out.numel())
        return out


def test_no_boxes() -> None:
    features = FeatureMaps(grids((3, 8), (3, 16)), (8.0, 4.0), FRAME)
    none = torch.zeros(0, 4)
    assert LevelBranch((3,))(features, none).shape == (0, 3)
    assert ScaleBranch((3,), (32, 64), (0.0,))(features, none).shape == (0, 3)


@pytest.fixture
def scales() -> ScaleBranch:
    return ScaleBranch((2,), (256, 448, 704), (0.0,), canonical=200.0)


@pytest.mark.parametrize(
    ("side", "chosen"),
    [(704, 0), (560, 0), (350, 1), (300, 1), (200, 2), (60, 2), (0, 2)],
)
def test_small_boxes_are_read_from_large_pictures(scales: ScaleBranch, side: float, chosen: int) -> None:
    wide, tall = [0.0, 0.0, side, side / 3], [0.0, 0.0, side / 3, side]
    assert scales.choose(torch.tensor([wide, tall])).tolist() == [chosen, chosen]


def test_each_box_is_pooled_from_its_own_scale(scales: ScaleBranch) -> None:
    maps = tuple(torch.full((2, 22, 22), float(value)) for value in (1, 2, 3))
    strides = tuple(32 * 704 / side for side in scales.scales)
    features = FeatureMaps(maps, strides, Frame((704, 704), (704, 704)))
    boxes = torch.tensor(
        [[100.0, 100.0, 160.0, 150.0], [20.0, 20.0, 620.0, 600.0], [80.0, 80.0, 400.0, 300.0]]
    )
    assert scales(features, boxes)[:, 0].tolist() == pytest.approx([3, 1, 2])


def test_shifts_are_in_cells_of_their_map() -> None:
    ramp = torch.arange(16.0).repeat(1, 16, 1)
    features = FeatureMaps((ramp, ramp), (4.0, 4.0), FRAME)
    box = torch.tensor([[16.0, 16.0, 40.0, 40.0]])
    lagging = ScaleBranch((1, 1), (64,), (0.0, 0.5), canonical=20.0)
    at_once, later = lagging(features, box)[0].tolist()
    assert later - at_once == pytest.approx(0.5, abs=1e-4)

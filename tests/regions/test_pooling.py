"""Separable pooling against a literal RoIAlign, written out here sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.regions.pooling import pool_boxes, roi_weights, upsample_weights


def bilinear(feature_map: Tensor, y: float, x: float) -> Tensor:
    """The map at one point as torchvision reads it: zero farther than a cell outside, else clamped."""
    _, height, width = feature_map.shape
    if y < -1 or y > height or x < -1 or x > width:
        return torch.zeros(len(feature_map))
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down = 0.0 if top == height - 1 else y - top
    across = 0.0 if left == width - 1 else x - left
    upper = feature_map[:, top, left] * (1 - across) + feature_map[:, top, right] * across
    lower = feature_map[:, bottom, left] * (1 - across) + feature_map[:, bottom, right] * across
    return upper * (1 - down) + lower * down


def roi_align_mean(feature_map: Tensor, box: list[float], stride: float, bins: int, aligned: bool) -> Tensor:
    """torchvision's `roi_align(..., sampling_ratio=-1)` of one box, averaged over the bins."""
    offset = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (v / stride - offset for v in box)
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    down, across = max(math.ceil(height / bins), 1), max(math.ceil(width / bins), 1)
    total = torch.zeros(len(feature_map))
    for row in range(bins):
        for column in range(bins):
            for i in range(down):
                y = y1 + (row + (i + 0.5) / down) * height / bins
                for j in range(across):
                    x = x1 + (column + (j + 0.5) / across) * width / bins
                    total += bilinear(feature_map, y, x) / (down * across)
    return total / bins**2


def random_map(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(channels, height, width, generator=torch.Generator().manual_seed(height * width))


# On a map of 9 × 12 cells of 4 pixels: a picture of 48 × 36.
BOXES = {
    "inside": [5.0, 6.0, 30.0, 22.0],
    "full": [0.0, 0.0, 48.0, 36.0],
    "fractional": [3.3, 7.7, 41.1, 11.9],
    "tiny": [20.0, 20.0, 21.0, 20.5],
    "empty": [16.0, 12.0, 16.0, 12.0],
    "corner": [44.0, 33.0, 48.0, 36.0],
    "partly outside": [-20.0, -9.0, 15.0, 60.0],
    "far outside": [200.0, 100.0, 260.0, 130.0],
    "larger than the picture": [-40.0, -40.0, 100.0, 100.0],
}


@pytest.mark.parametrize("bins", [1, 7])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("name", BOXES)
def test_equals_roi_align_and_mean(name: str, aligned: bool, bins: int) -> None:
    features = random_map(3, 9, 12)
    pooled = pool_boxes(features, torch.tensor([BOXES[name]]), 4.0, bins, aligned)
    torch.testing.assert_close(
        pooled[0], roi_align_mean(features, BOXES[name], 4.0, bins, aligned), atol=2e-6, rtol=0
    )


def test_inverted_boxes_are_widened_to_a_cell() -> None:
    features = random_map(3, 9, 12)
    inverted = [30.0, 25.0, 10.0, 5.0]
    pooled = pool_boxes(features, torch.tensor([inverted]), 4.0)
    torch.testing.assert_close(
        pooled[0], roi_align_mean(features, inverted, 4.0, 7, False), atol=2e-6, rtol=0
    )
    assert pooled.abs().sum() > 0
    assert pool_boxes(features, torch.tensor([inverted]), 4.0, aligned=True).isfinite().all()


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("name", BOXES)
def test_resized_equals_interpolation_then_roi_align(name: str, aligned: bool) -> None:
    coarse = random_map(3, 5, 7)
    resized = F.interpolate(coarse[None], size=(9, 12), mode="bilinear", align_corners=False)[0]
    pooled = pool_boxes(coarse, torch.tensor([BOXES[name]]), 4.0, aligned=aligned, resized_to=(9, 12))
    torch.testing.assert_close(
        pooled[0], roi_align_mean(resized, BOXES[name], 4.0, 7, aligned), atol=2e-6, rtol=0
    )


def test_several_boxes_do_not_influence_each_other() -> None:
    features = random_map(4, 9, 12)
    boxes = torch.tensor(list(BOXES.values()))
    alone = torch.cat([pool_boxes(features, box[None], 4.0) for box in boxes])
    torch.testing.assert_close(pool_boxes(features, boxes, 4.0), alone)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1)])
def test_maps_of_a_single_row_or_column(size: tuple[int, int]) -> None:
    features = random_map(2, *size)
    box = [0.0, 0.0, 4.0 * size[1], 4.0 * size[0]]
    expected = roi_align_mean(features, box, 4.0, 7, False)
    torch.testing.assert_close(pool_boxes(features, torch.tensor([box]), 4.0)[0], expected)


def test_no_boxes_and_dtype() -> None:
    features = random_map(3, 9, 12)
    assert pool_boxes(features, torch.zeros(0, 4), 4.0).shape == (0, 3)
    half = pool_boxes(features.bfloat16(), torch.tensor([BOXES["inside"]]), 4.0)
    assert half.dtype == torch.bfloat16
    exact = pool_boxes(features, torch.tensor([BOXES["inside"]]), 4.0)
    torch.testing.assert_close(half.float(), exact, atol=0.02, rtol=0)


def test_weights_of_a_box_inside_sum_to_one() -> None:
    weights = roi_weights(torch.tensor([1.0, 0.0]), torch.tensor([4.5, 9.0]), 9, bins=7)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize(("size", "target"), [(5, 9), (7, 14), (1, 3), (9, 4)])
def test_upsampling_matrix_is_bilinear_interpolation(size: int, target: int) -> None:
    line = random_map(1, 1, size)
    matrix = upsample_weights(size, target, line)
    expected = F.interpolate(line, size=target, mode="linear", align_corners=False)
    torch.testing.assert_close(line[0] @ matrix.T, expected[0], atol=1e-6, rtol=0)

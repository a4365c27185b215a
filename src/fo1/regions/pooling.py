"""Region pooling as two small matrices per level.

RoIAlign followed by a mean is linear in the feature map and separable in x and y, and so is bilinear
upsampling. A region's pooled feature is therefore `wy @ map @ wx` with one weight per row and column:
no upsampled map, no (bins × bins) grid, and any encoder's maps will do.
"""

from __future__ import annotations

import torch
from torch import Tensor


def roi_weights(low: Tensor, high: Tensor, size: int, bins: int, aligned: bool = False) -> Tensor:
    """How much each of `size` cells contributes to the mean of RoIAlign along one axis.

    low, high: (N,) box edges in cells. bins: RoIAlign's output size on this axis, with adaptive sampling
    (ceil(length / bins) samples a bin). aligned: shift by half a cell (torchvision's `aligned=True`);
    False is the released model's convention, which also widens boxes to at least one cell.
    Returns (N, size). Rows sum to 1 for boxes inside the map; samples over a cell outside count as 0.
    """
    start = low - 0.5 if aligned else low
    length = high - low if aligned else (high - low).clamp(min=1)
    width = length / bins
    grid = width.ceil().clamp(min=1)  # samples of a bin
    samples = bins * grid  # (N,) per box, evenly spaced over its length
    step = torch.arange(int(samples.max()) if len(samples) else 0, device=low.device)
    # Summed up in RoIAlign's own order: a sample may fall on the map's edge, where the last bit decides.
    within = step % grid[:, None]
    number = (step - within) / grid[:, None]
    position = start[:, None] + number * width[:, None] + (within + 0.5) * (width / grid)[:, None]  # (N, S)
    used = (step < samples[:, None]) & (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)
    below = position.floor().clamp(max=max(size - 2, 0)).long()
    fraction = position - below
    share = used / samples[:, None]
    weights = torch.zeros(len(low), size, dtype=low.dtype, device=low.device)
    weights.scatter_add_(1, below, share * (1 - fraction))
    return weights.scatter_add_(1, (below + 1).clamp(max=size - 1), share * fraction)


def upsample_weights(size: int, target: int, like: Tensor) -> Tensor:
    """Bilinear interpolation (align_corners=False) from `size` to `target` cells: a (target, size) matrix."""
    index = torch.arange(target, device=like.device, dtype=like.dtype)
    position = ((index + 0.5) * (size / target) - 0.5).clamp(0, size - 1)
    below = position.floor().clamp(max=max(size - 2, 0)).long()
    fraction = position - below
    matrix = torch.zeros(target, size, dtype=like.dtype, device=like.device)
    matrix.scatter_add_(1, below[:, None], (1 - fraction)[:, None])
    return matrix.scatter_add_(1, (below + 1).clamp(max=size - 1)[:, None], fraction[:, None])


def apply_weights(feature_map: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Weighted sums of a (C, H, W) map with rows (N, H) and columns (N, W), as (N, C)."""
    weights = (rows[:, :, None] * columns[:, None, :]).flatten(1)
    return weights.to(feature_map.dtype) @ feature_map.flatten(1).T


def pool_boxes(
    feature_map: Tensor,
    boxes: Tensor,
    stride: float,
    bins: int = 7,
    aligned: bool = False,
    resized_to: tuple[int, int] | None = None,
) -> Tensor:
    """Mean of RoIAlign over each box.

    feature_map: (C, H, W). boxes: (N, 4) in input pixels of the encoder. stride: input pixels per cell.
    resized_to: pool as if the map had first been bilinearly resized to these (H', W') cells; then `stride`
    is that of the resized map.
    Returns (N, C) in the map's dtype.
    """
    _, height, width = feature_map.shape
    grid_height, grid_width = resized_to or (height, width)
    cells = boxes.float() * (1 / stride)
    rows = roi_weights(cells[:, 1], cells[:, 3], grid_height, bins, aligned)
    columns = roi_weights(cells[:, 0], cells[:, 2], grid_width, bins, aligned)
    if (grid_height, grid_width) != (height, width):
        rows = rows @ upsample_weights(height, grid_height, rows)
        columns = columns @ upsample_weights(width, grid_width, columns)
    return apply_weights(feature_map, rows, columns)

"""Sine-cosine embedding of a box."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def box_embedding(
    boxes: Tensor, size: tuple[float, float], width: int, temperature: float = 10000.0
) -> Tensor:
    """Where a box is, as `width` numbers: a quarter each for its centre y, centre x, width and height.

    boxes: (N, 4) xyxy pixels of an encoder's input of `size` (width, height). Each coordinate is divided by
    the side it lies along, times 2π, and spread over wavelengths up to `temperature`, sines and cosines
    interleaved (the DAB-DETR form, as in the released model).
    Returns (N, width) float32; the last `width % 8` numbers are 0.
    """
    if width < 8:
        raise ValueError(f"width must be at least 8, got {width}")
    x1, y1, x2, y2 = boxes.float().unbind(-1)
    across, down = size
    coordinates = torch.stack(
        [(y1 + y2) / 2 / down, (x1 + x2) / 2 / across, (x2 - x1) / across, (y2 - y1) / down], dim=-1
    )
    quarter = width // 8 * 2
    exponent = 2 * torch.arange(quarter // 2, dtype=torch.float32, device=boxes.device) / quarter
    angle = coordinates[..., None] * (2 * math.pi) / temperature**exponent  # (N, 4, quarter / 2)
    return F.pad(torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1), (0, width % 8))

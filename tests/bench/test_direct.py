from __future__ import annotations

import torch

from fo1.bench.direct import BINS, CHANNELS, direct, random_boxes, random_maps
from fo1.regions.branches import LevelBranch


def test_the_rival_computes_the_same() -> None:
    torch.manual_seed(0)
    maps, boxes = random_maps(64), random_boxes(3, 64)
    ours = LevelBranch(CHANNELS, BINS, resize_to_first=True)(maps, boxes)
    torch.testing.assert_close(direct(maps, boxes), ours, rtol=1e-4, atol=1e-4)

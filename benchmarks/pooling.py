"""Pooling of the auxiliary maps at the released model's sizes, ours beside the direct computation.

    python benchmarks/pooling.py [--boxes 100] [--side 768] [--repeat 3] [--threads 2]

Direct: levels 1–3 upsampled to level 0, all concatenated (3,840 channels), RoIAlign 7 × 7 with adaptive
sampling, mean over the bins, in plain torch; with torchvision's RoIAlign as well, where that is installed.
Random maps, float32. Peak memory is what the process grew by, inputs not counted.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.regions.branches import LevelBranch

CHANNELS, STRIDES, BINS = (256, 512, 1024, 2048), (4.0, 8.0, 16.0, 32.0), 7


def random_maps(side: int) -> FeatureMaps:
    """DaViT-Large's four maps of a square picture."""
    shapes = [(c, -(-side // int(s)), -(-side // int(s))) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    return FeatureMaps(tuple(torch.randn(s) for s in shapes), STRIDES, Frame((side, side), (side, side)))


def random_boxes(count: int, side: int) -> Tensor:
    """Boxes from a twentieth to half of the side, anywhere."""
    size = side * (0.05 + 0.45 * torch.rand(count, 2))
    corner = torch.rand(count, 2) * (side - size)
    return torch.cat([corner, corner + size], dim=1)


def upsampled(maps: FeatureMaps) -> Tensor:
    """All levels at the size of the finest, concatenated, (C, H, W)."""
    first, *others = (m[None] for m in maps.maps)
    size = first.shape[-2:]
    resized = [F.interpolate(m, size, mode="bilinear", align_corners=False) for m in others]
    return torch.cat([first, *resized], dim=1)[0]


def samples(low: float, high: float, size: int) -> tuple[int, int, Tensor, Tensor]:
    """RoIAlign's evenly spaced samples along one axis, which the box covers from low to high, in cells.

    Returns the first cell needed, the one after the last, and per sample the cell before it, counted from the
    first, and how far it is towards the next.
    """
    length = max(high - low, 1.0)
    count = BINS * max(-int(-length // BINS), 1)
    position = (low + (torch.arange(count) + 0.5) * (length / count)).clamp(0, size - 1)
    below = position.floor().long().clamp(max=size - 2)
    first, last = int(below[0]), int(below[-1])
    return first, last + 2, below - first, position - below


def direct(maps: FeatureMaps, boxes: Tensor) -> Tensor:
    """RoIAlign as it is written down: samples, their mean in each bin, the mean over bins."""
    feature_map = upsampled(maps).permute(1, 2, 0).contiguous()  # a sample reads all channels
    height, width, channels = feature_map.shape
    features = []
    for x1, y1, x2, y2 in (boxes / STRIDES[0]).tolist():
        left, right, before, across = samples(x1, x2, width)
        top, bottom, above, down = samples(y1, y2, height)
        crop = feature_map[top:bottom, left:right]
        rows = torch.lerp(crop[above], crop[above + 1], down[:, None, None])
        values = torch.lerp(rows[:, before], rows[:, before + 1], across[:, None])
        bins = values.view(BINS, len(down) // BINS, BINS, len(across) // BINS, channels).mean(dim=(1, 3))
        features.append(bins.mean(dim=(0, 1)))
    return torch.stack(features)


def torchvisions(roi_align: Any) -> Callable[[FeatureMaps, Tensor], Tensor]:
    """The direct computation with torchvision's RoIAlign."""

    def pool(maps: FeatureMaps, boxes: Tensor) -> Tensor:
        feature_map = upsampled(maps)[None]
        return roi_align(feature_map, [boxes], BINS, 1 / STRIDES[0]).mean(dim=(2, 3))

    return pool


class LargestTensor(TorchDispatchMode):
    """Counts the numbers of the largest tensor that any operation gives out."""

    numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.numel = max(self.numel, out.numel())
        return out


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure(
    name: str, pool: Callable[[FeatureMaps, Tensor], Tensor], maps: FeatureMaps, boxes: Tensor, repeat: int
) -> tuple[Tensor, float]:
    """Prints a row; returns the result and the best time in seconds."""
    before, times = peak_mib(), []
    with LargestTensor() as largest:
        result = pool(maps, boxes)
    for _ in range(repeat):
        started = time.perf_counter()
        pool(maps, boxes)
        times.append(time.perf_counter() - started)
    ratio = largest.numel / maps.maps[0].numel()
    row = f"{name:14} {min(times):9.3f} s {peak_mib() - before:9.0f} MiB   {ratio:6.2f} × the finest map"
    print(row, flush=True)
    return result, min(times)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--boxes", type=int, default=100)
    parser.add_argument("--side", type=int, default=768, help="of the picture, in pixels")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    maps, boxes = random_maps(arguments.side), random_boxes(arguments.boxes, arguments.side)
    branch = LevelBranch(CHANNELS, BINS, resize_to_first=True)
    print(f"{'':14} {'best':>9}   {'peak':>9}       largest tensor")
    ours, our_time = measure("ours", branch, maps, boxes, arguments.repeat)
    want, direct_time = measure("direct", direct, maps, boxes, arguments.repeat)
    print(f"{direct_time / our_time:.1f} times faster; largest difference {(ours - want).abs().max():.1e}")
    try:
        roi_align = importlib.import_module("torchvision.ops").roi_align
    except ImportError:
        return
    want, direct_time = measure("torchvision", torchvisions(roi_align), maps, boxes, arguments.repeat)
    print(f"{direct_time / our_time:.1f} times faster; largest difference {(ours - want).abs().max():.1e}")


if __name__ == "__main__":
    main()

"""Pooling of the auxiliary maps at the released model's sizes, ours beside the direct computation.

    python benchmarks/pooling.py [--boxes 100] [--side 768] [--repeat 3] [--threads 2]

Direct: levels 1–3 upsampled to level 0, all concatenated (3,840 channels), RoIAlign 7 × 7 with adaptive
sampling, mean over the bins, in plain torch; with torchvision's RoIAlign as well, where that is installed.
Random maps, float32. Peak memory is what the process grew by, inputs not counted.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fo1.bench.clock import peak_mib
from fo1.bench.direct import BINS, CHANNELS, STRIDES, direct, random_boxes, random_maps, upsampled
from fo1.encoders.feature_maps import FeatureMaps
from fo1.regions.branches import LevelBranch


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

"""The whole region path at the released model's sizes: DaViT-Large, SimpleFP, pooling, connector.

    python benchmarks/region_path.py [--side 768] [--boxes 100] [--threads 2] [--repeat 3] [--profile]

Random weights; a random map stands for the vision tower's. Each dtype runs in a process of its own, whose
peak memory counts everything, Python and weights included. --profile also lists the operations that take
longest. On a busy machine, look at the processor time: a free one needs that, divided by the threads.
(Set GOMP_SPINCOUNT=0 then, or threads that wait for each other count as working.)
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.profiler import profile

from fo1.encoders.davit import LARGE, DaViT
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.regions.branches import LevelBranch, PyramidBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import FusionConfig, HybridRegionEncoder
from fo1.regions.pyramid import SimpleFP
from fo1.types import Regions

VIT_WIDTH, PATCH, MERGED, LANGUAGE_WIDTH = 1280, 14, 28, 2048
DTYPES = ("float32", "bfloat16")


def filled(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A module from the meta device with small random weights."""
    module.to(dtype).to_empty(device="cpu").eval().requires_grad_(False)
    for name, weight in module.named_parameters():
        weight.fill_(float("norm" in name)) if weight.ndim == 1 else weight.uniform_(-0.03, 0.03)
    return module


def region_encoder() -> HybridRegionEncoder:
    primary, auxiliary = PyramidBranch(VIT_WIDTH), LevelBranch(LARGE.dims, resize_to_first=True)
    width = HybridRegionEncoder.connector_width(FusionConfig(), primary.out_channels, auxiliary.out_channels)
    connector = Connector(width, LANGUAGE_WIDTH, LANGUAGE_WIDTH)
    return HybridRegionEncoder(primary, auxiliary, connector, FusionConfig())


class Path:
    """Image and boxes → region embeddings, with the time each stage took in `seconds`."""

    def __init__(self, side: int, boxes: int, dtype: torch.dtype) -> None:
        rng = np.random.default_rng(0)
        self.image = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        size = side * rng.uniform(0.05, 0.5, (boxes, 2))
        corner = rng.uniform(0, 1, (boxes, 2)) * (side - size)
        self.regions = Regions.of(np.concatenate([corner, corner + size], axis=1), (side, side))
        seen = round(side / MERGED) * MERGED
        grid = torch.randn(VIT_WIDTH, seen // PATCH, seen // PATCH).to(dtype)
        self.primary = FeatureMaps((grid,), (float(PATCH),), Frame((side, side), (seen, seen)))
        with torch.device("meta"):
            davit, encoder = DaViT(LARGE), region_encoder()
        self.davit, self.encoder = filled(davit, dtype), filled(encoder, dtype)
        self.seconds: dict[str, float] = defaultdict(float)
        self._watch_stages()

    def __call__(self) -> torch.Tensor:
        self.seconds.clear()
        with self._timed("DaViT-Large"):
            (auxiliary,) = self.davit([self.image])
        with self._timed("SimpleFP and pooling of both"):
            features = self.encoder.pool(self.primary, auxiliary, self.regions)
        with self._timed("box embedding, connector"):
            return self.encoder.embed(features)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        self.seconds[stage] = 0.0  # before the modules inside it, as in the table
        started = time.perf_counter()
        yield
        self._add(stage, started)

    def _watch_stages(self) -> None:
        """Times single modules as well; what they take is part of the stages above."""
        backbone = self.davit.backbone
        watched: list[tuple[str, nn.Module]] = []
        for stage, (embed, blocks) in enumerate(zip(backbone.convs, backbone.blocks, strict=True)):
            watched += [(f"  stage {stage}", module) for module in (embed, *blocks)]
        for scale, level in zip(SimpleFP.strides, self.encoder.primary.pyramid.levels, strict=True):
            watched.append((f"  SimpleFP at stride {scale * PATCH:g}", level))
        for name, module in watched:
            started: list[float] = []
            module.register_forward_pre_hook(lambda *_, s=started: s.append(time.perf_counter()))
            module.register_forward_hook(lambda *_, n=name, s=started: self._add(n, s.pop()))

    def _add(self, name: str, started: float) -> None:
        self.seconds[name] += time.perf_counter() - started


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> None:
    """One dtype, in this process."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    path = Path(arguments.side, arguments.boxes, getattr(torch, arguments.only))
    weights = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    path()
    best: dict[str, float] = {"total": float("inf")}
    processor = float("inf")
    for _ in range(arguments.repeat):
        before = time.process_time()
        path()
        processor = min(processor, time.process_time() - before)
        total = sum(seconds for name, seconds in path.seconds.items() if not name.startswith(" "))
        best = min(best, {**path.seconds, "total": total}, key=lambda seconds: seconds["total"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    best["processor time, all threads"] = processor
    side, boxes = arguments.side, arguments.boxes
    print(f"\n{arguments.only}, {side}×{side}, {boxes} boxes, best of {arguments.repeat}")
    for name, seconds in best.items():
        print(f"{name:32} {seconds:8.2f} s")
    print(f"peak memory {peak:.2f} GiB, of which {weights:.2f} GiB before the first image", flush=True)
    if arguments.profile:
        with profile() as seen:
            path()
        print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=768, help="of the picture, in pixels")
    parser.add_argument("--boxes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--only", choices=DTYPES, help="one dtype, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        run(arguments)
        return
    for dtype in DTYPES:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", dtype], check=True)


if __name__ == "__main__":
    main()

"""The benchmarks, a small file each; importing one registers it, importing this package all of them."""

from fo1.evaluation.benchmarks import (
    coco,
    coco_text,
    counting,
    ferret_bench,
    grefcoco,
    humanref,
    lvis,
    odinw,
    ovdeval,
    proposal_recall,
    refcoco,
    region_captions,
    region_names,
    scene_text,
    scenes,
)
from fo1.evaluation.known import BENCHMARKS

__all__ = [
    "BENCHMARKS",
    "coco",
    "coco_text",
    "counting",
    "ferret_bench",
    "grefcoco",
    "humanref",
    "lvis",
    "odinw",
    "ovdeval",
    "proposal_recall",
    "refcoco",
    "region_captions",
    "region_names",
    "scene_text",
    "scenes",
]

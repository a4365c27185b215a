"""Tiny bases of every family, with a tiny region encoder attached."""

from __future__ import annotations

from typing import Any

import torch

import fo1
from fo1 import FO1, AuxiliaryConfig, RegionsConfig
from fo1.vlm.family import VLMFamily
from tiny import random_rows
from vlm.families import qwen_cases, tapped_cases

NAMES = (
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_5",
    "internvl",
    "smolvlm",
    "llava_onevision anyres",
    "gemma3",
    "mistral3",
    "paligemma",
)
CASES = {case.name: case for case in (*qwen_cases.CASES, *tapped_cases.CASES)}
DAVIT = AuxiliaryConfig(
    "davit",
    {
        "dims": [8, 16, 32, 64],
        "depths": [1, 1, 1, 1],
        "heads": [1, 2, 4, 8],
        "groups": [1, 2, 4, 8],
        "window": 4,
    },
)
REGIONS = RegionsConfig(pyramid_width=30, hidden=24)
"""Four levels of 30 channels are as wide as the DaViT's maps together, so that a mean can be taken."""


def attached(family: VLMFamily, seed: int = 1, **options: Any) -> FO1:
    """The family's base with fresh parts; rows of added tokens are large enough to be written at times."""
    torch.manual_seed(seed)
    given = {"auxiliary": DAVIT, "regions": REGIONS, **options}
    model = fo1.attach(family.base, family.processor, **given)
    random_rows(model.model.splice, seed).output_rows.data.mul_(1.5)
    return model

"""Stage 1: the region encoder and the rows of the added tokens. All numbers are our choice.

fo1 train recipes/align.py --out runs/align
"""

from pathlib import Path
from types import SimpleNamespace

from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

import fo1
from fo1.data.matching import ProposalMix
from fo1.training.recipe import Recipe
from fo1.training.stage import Stage

BASE = "Qwen/Qwen2.5-VL-3B-Instruct"


def model() -> fo1.FO1:
    """The base with untrained regions."""
    base = AutoModelForImageTextToText.from_pretrained(BASE, dtype="bfloat16")
    processor = SimpleNamespace(
        tokenizer=AutoTokenizer.from_pretrained(BASE),
        image_processor=AutoImageProcessor.from_pretrained(BASE, backend="pil"),
    )
    return fo1.attach(base, processor, auxiliary=fo1.AuxiliaryConfig("davit-large"))


recipe = Recipe(
    model=model,
    stage=Stage(
        "align",
        steps=5000,
        rates={"encoder.*": 1e-3, "splice.*": 1e-3},
        batch=4,
        accumulate=8,
        warmup=150,
        precision="bfloat16",
        save_every=200,
        check_every=500,
    ),
    sources={Path("data/train.jsonl"): 1.0},
    held_out=Path("data/check.jsonl"),
    mix=ProposalMix(jitter=0.05),
)

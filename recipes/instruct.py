"""Stage 2: also the auxiliary encoder, and the language model by low-rank factors.

All numbers are our choice.

fo1 train recipes/instruct.py --out runs/instruct

For all of the language model instead: rank=0 and {"language.*": 1e-5} (its head too, if it has its own:
"base.lm_head.*"). The base's own vision tower stays frozen either way.
"""

from pathlib import Path

import fo1
from fo1.data.matching import ProposalMix
from fo1.training.recipe import Recipe
from fo1.training.stage import Stage

recipe = Recipe(
    model=lambda: fo1.load("runs/align/model", dtype="bfloat16"),
    stage=Stage(
        "instruct",
        steps=5000,
        rates={
            "encoder.*": 2e-4,
            "splice.*": 2e-4,
            "auxiliary.*": 2e-5,
            "language.*.down": 1e-4,
            "language.*.up": 1e-4,
        },
        rank=16,
        batch=2,
        accumulate=16,
        warmup=150,
        precision="bfloat16",
        save_every=200,
        check_every=500,
    ),
    # General vision-language data beside it keeps what the base can do.
    sources={Path("data/train.jsonl"): 3.0, Path("data/general.jsonl"): 1.0},
    held_out=Path("data/check.jsonl"),
    mix=ProposalMix(share_truth=0.3, jitter=0.05, unmatched="add"),
)

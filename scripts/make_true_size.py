#!/usr/bin/env python3
"""Writes a random checkpoint in the released format at the released model's real size: 8.3 GB in bfloat16.

It answers nonsense, but loads and runs as the real one does: for measuring time and memory.

    python scripts/make_true_size.py OUT TOKENIZER

TOKENIZER is a folder with the files beside the weights (vocab.json, merges.txt, tokenizer_config.json,
preprocessor_config.json, …), such as a tiny checkpoint in the released format. One shard at a time is in
memory.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig

from fo1.checkpoints.attached_config import AttachedConfig, AuxiliaryConfig
from fo1.checkpoints.convert import copy_beside
from fo1.checkpoints.released import released_state, skeleton
from fo1.checkpoints.released_config import ReleasedConfig
from fo1.checkpoints.released_values import released_values
from fo1.checkpoints.renaming import Part
from fo1.checkpoints.shards import write_shards
from fo1.encoders.davit import DaViT

TEXT = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128000,
    "max_window_layers": 70,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
}
VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "out_hidden_size": 2048,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "tokens_per_second": 2,
}
HEADS = [8, 16, 32, 64]
DAVIT = {
    "dims": [256, 512, 1024, 2048],
    "depths": [1, 1, 9, 1],
    "heads": HEADS,
    "groups": HEADS,
    "aspect": "dynamic",
}
STD = 0.02


def random_weight(key: str, shape: tuple[int, ...]) -> Tensor:
    """Normal weights, norms of 1 and biases of 0; the same in every run."""
    if key.endswith(".bias"):
        return torch.zeros(shape, dtype=torch.bfloat16)
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=STD, generator=generator)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; must be new or empty")
    parser.add_argument("tokenizer", type=Path, metavar="TOKENIZER", help="folder with the other files")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        parser.error(f"{out} is not empty")

    start = time.perf_counter()
    base = Qwen2_5_VLConfig(
        text_config=TEXT, vision_config=VISION, tie_word_embeddings=True, dtype=torch.bfloat16
    )
    model = AttachedConfig("true-size", "qwen2_5_vl", auxiliary=AuxiliaryConfig("davit", DAVIT))
    vlm, auxiliary, encoder = skeleton(base, model)
    assert isinstance(auxiliary, DaViT)
    modules: dict[Part, nn.Module] = {"base": vlm, "auxiliary": auxiliary, "encoder": encoder}
    shapes = {key: tuple(value.shape) for key, value in released_state(modules).items()}
    sizes = {key: 2 * torch.Size(shape).numel() for key, shape in shapes.items()}
    write_shards(out, sizes, lambda key: random_weight(key, shapes[key]))
    values = released_values(base, model, auxiliary, shapes)
    ReleasedConfig.of(values, shapes)  # what cannot be read back is not to be written
    (out / "config.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    copy_beside(arguments.tokenizer, out)
    seconds = time.perf_counter() - start
    print(f"{len(shapes)} tensors, {sum(sizes.values()) / 1e9:.2f} GB, in {seconds:.0f} s")


if __name__ == "__main__":
    main()

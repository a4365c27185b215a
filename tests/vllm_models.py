"""Tiny random Qwen2.5-VL models that vLLM's CPU attention can run: its heads want at least 32 channels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import fo1
from attachable import attached
from checkpoints import mini
from fo1.grammar import Choice, Grammar, State
from vlm.families.qwen_cases import FINE, qwen

HEADS = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
SECTION = {"mrope_section": [8, 12, 12]}
TOWER = {"out_hidden_size": 128, "fullatt_block_indexes": [1, 3], "window_size": 56}


def write_native(folder: Path, **text: Any) -> Path:
    """Region names have rows of their own; input and output tables differ. text: sizes of the text model."""
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **SECTION}}
    sizes = {**HEADS, **rope, **text}
    tower = {**TOWER, "out_hidden_size": sizes["hidden_size"]}
    fo1.save(attached(qwen("qwen2_5_vl", sizes, tower).build()), folder)
    return folder


def write_qwen3(folder: Path) -> Path:
    """Another family: features of some blocks of its tower go to deeper layers."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, **SECTION, "mrope_interleaved": True}
    tower = {**FINE, "out_hidden_size": 128, "deepstack_visual_indexes": [0, 2]}
    fo1.save(
        attached(qwen("qwen3_vl", {**HEADS, "head_dim": 64, "rope_parameters": rope}, tower).build()), folder
    )
    return folder


def write_released(folder: Path) -> Path:
    """As the authors' tools write it; the base has the region names' rows, in one table for both ways."""
    vision = {**mini.VISION, "out_hidden_size": 128}
    config = {**mini.CONFIG, **HEADS, "rope_scaling": {"type": "mrope", **SECTION}, "vision_config": vision}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in mini.SHAPES.items():
        value = torch.randn(_wider(key, shape), generator=generator) * 0.1
        state[key] = (value + 1 if "norm" in key and key.endswith(".weight") else value).bfloat16()
    return mini.write_released(folder, config, state)


def _wider(key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A released tensor's shape for a language model of 128 channels and heads of 64."""
    if key == "model.embed_tokens.weight":
        return mini.VOCABULARY, 128
    if re.search(r"merger\.mlp\.2|mm_projector_aux\.2", key):
        return 128, *shape[1:]
    if not key.startswith(("model.layers.", "model.norm")):
        return shape
    rows = {"k_proj": 64, "v_proj": 64, "gate_proj": 160, "up_proj": 160}
    given = next((count for name, count in rows.items() if name in key), 128)
    return (given,) if len(shape) == 1 else (given, 160 if "down_proj" in key else 128)


def boxes(size: tuple[int, int], count: int, seed: int) -> NDArray[np.float32]:
    """Random boxes; some reach outside the image."""
    corners = np.sort(np.random.default_rng(seed).random((count, 2, 2)), axis=1) * 1.1 * np.array(size)
    return corners.reshape(count, 4).astype(np.float32)


class Ascending(Grammar):
    """The grammar that can be written down: a list names regions in their order."""

    def _in_list(self, state: State, spare: int) -> Choice:
        choice = super()._in_list(state, spare)
        passed = range(self.regions.start, max(state.named, default=self.regions.start - 1) + 1)
        return choice._replace(never=np.array(list(passed), dtype=np.int64))

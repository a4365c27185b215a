"""The one table between the keys of a released VLM-FO1 checkpoint and ours, both ways.

A row names a module; its tensors (`weight`, `bias`) keep their names. `#` stands for a block's number.
A key without a row is not part of the released format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from fo1.errors import CheckpointError

Part = Literal["base", "auxiliary", "encoder"]
"""base: transformers' own `Qwen2_5_VLForConditionalGeneration`; auxiliary: `DaViT`; encoder:
`HybridRegionEncoder`."""


@dataclass(frozen=True)
class Section:
    """Modules below one released prefix and one of ours: released name → our name."""

    part: Part
    released: str
    ours: str
    modules: Mapping[str, str]


def _unchanged(*names: str) -> dict[str, str]:
    return {name: name for name in names}


TEXT = _unchanged(
    "embed_tokens",
    "layers.#.input_layernorm",
    "layers.#.self_attn.q_proj",
    "layers.#.self_attn.k_proj",
    "layers.#.self_attn.v_proj",
    "layers.#.self_attn.o_proj",
    "layers.#.post_attention_layernorm",
    "layers.#.mlp.gate_proj",
    "layers.#.mlp.up_proj",
    "layers.#.mlp.down_proj",
    "norm",
)

VISION = _unchanged(
    "patch_embed.proj",
    "blocks.#.norm1",
    "blocks.#.attn.qkv",
    "blocks.#.attn.proj",
    "blocks.#.norm2",
    "blocks.#.mlp.gate_proj",
    "blocks.#.mlp.up_proj",
    "blocks.#.mlp.down_proj",
    "merger.ln_q",
    "merger.mlp.0",
    "merger.mlp.2",
)

# There, a residual wrapper owns the norm before its function (`window_attn.norm`, `window_attn.fn.qkv`).
DAVIT = {
    "convs.#.proj": "convs.#.conv",
    "convs.#.norm": "convs.#.norm",
    "blocks.#.#.spatial_block.conv1.fn.dw": "blocks.#.#.spatial_block.conv1",
    "blocks.#.#.spatial_block.window_attn.norm": "blocks.#.#.spatial_block.norm1",
    "blocks.#.#.spatial_block.window_attn.fn.qkv": "blocks.#.#.spatial_block.window_attn.qkv",
    "blocks.#.#.spatial_block.window_attn.fn.proj": "blocks.#.#.spatial_block.window_attn.proj",
    "blocks.#.#.spatial_block.conv2.fn.dw": "blocks.#.#.spatial_block.conv2",
    "blocks.#.#.spatial_block.ffn.norm": "blocks.#.#.spatial_block.norm2",
    "blocks.#.#.spatial_block.ffn.fn.net.fc1": "blocks.#.#.spatial_block.ffn.fc1",
    "blocks.#.#.spatial_block.ffn.fn.net.fc2": "blocks.#.#.spatial_block.ffn.fc2",
    "blocks.#.#.channel_block.conv1.fn.dw": "blocks.#.#.channel_block.conv1",
    "blocks.#.#.channel_block.channel_attn.norm": "blocks.#.#.channel_block.norm1",
    "blocks.#.#.channel_block.channel_attn.fn.qkv": "blocks.#.#.channel_block.channel_attn.qkv",
    "blocks.#.#.channel_block.channel_attn.fn.proj": "blocks.#.#.channel_block.channel_attn.proj",
    "blocks.#.#.channel_block.conv2.fn.dw": "blocks.#.#.channel_block.conv2",
    "blocks.#.#.channel_block.ffn.norm": "blocks.#.#.channel_block.norm2",
    "blocks.#.#.channel_block.ffn.fn.net.fc1": "blocks.#.#.channel_block.ffn.fc1",
    "blocks.#.#.channel_block.ffn.fn.net.fc2": "blocks.#.#.channel_block.ffn.fc2",
}

# There, a convolution owns its norm (`4.norm`); ours are plain neighbours.
PYRAMID = {
    "simfp_1.0": "0.0",
    "simfp_1.1": "0.1",
    "simfp_1.3": "0.3",
    "simfp_1.4": "0.4",
    "simfp_1.4.norm": "0.5",
    "simfp_1.5": "0.6",
    "simfp_1.5.norm": "0.7",
    "simfp_2.0": "1.0",
    "simfp_2.1": "1.1",
    "simfp_2.1.norm": "1.2",
    "simfp_2.2": "1.3",
    "simfp_2.2.norm": "1.4",
    "simfp_3.0": "2.0",
    "simfp_3.0.norm": "2.1",
    "simfp_3.1": "2.2",
    "simfp_3.1.norm": "2.3",
    "simfp_4.1": "3.1",
    "simfp_4.1.norm": "3.2",
    "simfp_4.2": "3.3",
    "simfp_4.2.norm": "3.4",
}

CONNECTOR = {"0": "1", "2": "4"}  # ours has a dropout before each linear layer

TABLE = (
    Section("base", "model.", "model.language_model.", TEXT),
    Section("base", "", "", _unchanged("lm_head")),  # absent where it is tied to the embeddings
    Section("base", "model.vision_tower.image_tower.", "model.visual.", VISION),
    Section("auxiliary", "model.vision_tower_aux.image_tower.", "backbone.", DAVIT),
    Section("encoder", "model.object_vp_extractor.simple_fpn.", "primary.pyramid.levels.", PYRAMID),
    Section("encoder", "model.mm_projector_aux.", "connector.mlp.", CONNECTOR),
)


@dataclass(frozen=True)
class Row:
    """One module in both names; `#` is a block's number."""

    part: Part
    released: str
    ours: str


ROWS = tuple(
    Row(section.part, section.released + released, section.ours + ours)
    for section in TABLE
    for released, ours in section.modules.items()
)


def released_to_ours(key: str) -> tuple[Part, str]:
    """The part a released tensor belongs to, and its key there.

    Raises `CheckpointError` for a key that the released format does not have.
    """
    for row, pattern in _released_patterns():
        if found := pattern.fullmatch(key):
            return row.part, _fill(row.ours, found)
    raise CheckpointError(f"{key} is not a tensor of a released VLM-FO1 checkpoint")


def ours_to_released(part: Part, key: str) -> str:
    """The released name of one of our tensors. Raises `CheckpointError` if the format has no place for it."""
    for row, pattern in _our_patterns():
        if row.part == part and (found := pattern.fullmatch(key)):
            return _fill(row.released, found)
    raise CheckpointError(f"the released format has no place for {key} of the {part}")


@cache
def _released_patterns() -> tuple[tuple[Row, re.Pattern[str]], ...]:
    return tuple((row, _compile(row.released)) for row in ROWS)


@cache
def _our_patterns() -> tuple[tuple[Row, re.Pattern[str]], ...]:
    return tuple((row, _compile(row.ours)) for row in ROWS)


def _compile(module: str) -> re.Pattern[str]:
    """Matches the tensors of a row's module; groups are its block numbers and last the tensor's name."""
    return re.compile(re.escape(module).replace(r"\#", r"(\d+)") + r"(\.(?:weight|bias))")


def _fill(module: str, found: re.Match[str]) -> str:
    """The key in the other name, with the block numbers and tensor name of `found`."""
    *numbers, tensor = found.groups()
    pieces = module.split("#")
    return "".join(piece + number for piece, number in zip(pieces, [*numbers, tensor], strict=True))

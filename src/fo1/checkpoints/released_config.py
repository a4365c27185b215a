"""What a released VLM-FO1 checkpoint says of itself: its `config.json`, and the shapes of its tensors.

Sizes come from the tensors; where the config names one too, both must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from huggingface_hub.errors import StrictDataclassError
from transformers import Qwen2_5_VLConfig

from fo1.checkpoints.attached_config import (
    AttachedConfig,
    AuxiliaryConfig,
    RegionsConfig,
    VocabularyConfig,
)
from fo1.checkpoints.config import RELEASED, read_json
from fo1.encoders.pixels import Aspect
from fo1.errors import CheckpointError
from fo1.regions.encoder import Fusion, FusionConfig

FAMILY = "qwen2_5_vl"
PIXELS = (56 * 56, 2048 * 2048)
SIDES = {"min_side": 28, "max_side": 2048}
CHAT = {"system": "You are a helpful assistant.", "after_system": "<|im_end|>"}

# What this reader relies on; a key that is absent has this value.
FIXED = {
    "mm_projector_type": "identity",
    "mm_projector_aux_type": "mlp2x_gelu",
    "mm_pos_embedding_strategy": "bbox_based",
    "mm_region_feature_combination": "concat",
    "mm_apply_region_layer_norm": False,
    "mm_use_region_index_token": True,
}

TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
TEXT_REQUIRED = ("num_attention_heads", "rms_norm_eps")
TEXT_OPTIONAL = (
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "use_sliding_window",
    "sliding_window",
    "max_window_layers",
    "attention_dropout",
    "use_cache",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
# Channels of an attention head of DaViT: 32, except in the tiny model of the golden recordings.
HEAD_WIDTH, TINY_HEAD_WIDTH, TINY = 32, 8, "davit-tiny-golden.pth"

EMBEDDING = "model.embed_tokens.weight"
LAYER, VISION = "model.layers.", "model.vision_tower.image_tower."
DAVIT = "model.vision_tower_aux.image_tower."
PYRAMID, CONNECTOR = "model.object_vp_extractor.simple_fpn.", "model.mm_projector_aux."

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ReleasedConfig:
    """A released checkpoint's base and all else, in our words."""

    base: Qwen2_5_VLConfig
    model: AttachedConfig

    @classmethod
    def read(cls, folder: Path, shapes: Shapes) -> ReleasedConfig:
        """From `folder/config.json` and the shapes of all tensors. Raises `CheckpointError`."""
        path = folder / "config.json"
        values = read_json(path)
        try:
            return cls.of(values, shapes)
        except CheckpointError as error:
            raise CheckpointError(f"{path} and the tensors beside it: {error}") from error

    @classmethod
    def of(cls, values: Mapping[str, Any], shapes: Shapes) -> ReleasedConfig:
        """From what the config says. Raises `CheckpointError` naming the key and what it should be."""
        _expect(values, "model_type", RELEASED, required=True)
        for key, value in FIXED.items():
            _expect(values, key, value)
        if "quantization_config" in values:
            raise CheckpointError("quantization_config: quantised weights cannot be read, only plain ones")
        base = base_config(values, shapes)
        model = AttachedConfig(
            name="VLM-FO1",
            family=FAMILY,
            family_options=dict(SIDES),
            pixels=PIXELS,
            auxiliary=_auxiliary(values, shapes),
            regions=_regions(values, shapes),
            vocabulary=VocabularyConfig("static", _typed(values, "mm_num_region_tokens", int, 100)),
            chat=dict(CHAT),
        )
        model.check()
        return cls(base, model)


def base_config(values: Mapping[str, Any], shapes: Shapes) -> Qwen2_5_VLConfig:
    """The unmodified Qwen2.5-VL in it, as transformers describes it."""
    text = {key: _given(values, key) for key in TEXT_REQUIRED}
    text |= {key: values[key] for key in TEXT_OPTIONAL if key in values}
    vocabulary, width = _shape(shapes, EMBEDDING, 2)
    head = _head_width(values, "num_attention_heads", width)
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": _shape(shapes, LAYER + "0.mlp.up_proj.weight", 2)[0],
        "num_hidden_layers": _count(shapes, LAYER),
        "num_key_value_heads": _shape(shapes, LAYER + "0.self_attn.k_proj.weight", 2)[0] // head,
    }
    _agree(values, sizes, "")
    vision = _vision(_typed(values, "vision_config", dict), shapes)
    rope = _rope(values, head)
    tied = _typed(values, "tie_word_embeddings", bool, "lm_head.weight" not in shapes)
    tokens = {key: values[key] for key in TOKENS if key in values}
    try:
        return Qwen2_5_VLConfig(
            text_config={**text, **sizes, "rope_parameters": rope},
            vision_config=vision,
            tie_word_embeddings=tied,
            **tokens,
        )
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise CheckpointError(f"they do not describe a {FAMILY}: {error}") from error


def _head_width(values: Mapping[str, Any], key: str, width: int) -> int:
    """Channels of one attention head, from the config's number of heads."""
    heads = _typed(values, key, int)
    if heads < 1 or width % heads:
        raise CheckpointError(f"{key} = {heads}, expected a divisor of {width}")
    return width // heads


def _rope(values: Mapping[str, Any], head: int) -> dict[str, Any]:
    """As transformers 5 writes it, or in the two keys of before."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    section = rope.get("mrope_section") if isinstance(rope, dict) else None
    numbers = isinstance(section, list) and all(type(n) is int for n in section)
    if section is None or not numbers or 2 * sum(section) != head:
        raise CheckpointError(f"mrope_section = {section}, expected whole numbers with the sum {head // 2}")
    theta = rope.get("rope_theta", values.get("rope_theta"))
    if not isinstance(theta, int | float):
        raise CheckpointError(f"rope_theta must be a number, not {theta!r}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("mrope", "default"):
        raise CheckpointError(f"rope_scaling.type = {kind!r}, expected 'mrope'")
    return {"rope_type": "default", "rope_theta": theta, "mrope_section": section}


def _vision(values: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """Keys that are absent have transformers' defaults, which are those of the released sizes."""
    width, _, temporal, patch, _ = _shape(shapes, VISION + "patch_embed.proj.weight", 5)
    merged = _shape(shapes, VISION + "merger.mlp.0.weight", 2)[1]
    sizes = {
        "hidden_size": width,
        "depth": _count(shapes, VISION + "blocks."),
        "intermediate_size": _shape(shapes, VISION + "blocks.0.mlp.up_proj.weight", 2)[0],
        "out_hidden_size": _shape(shapes, VISION + "merger.mlp.2.weight", 2)[0],
        "patch_size": patch,
        "temporal_patch_size": temporal,
        "spatial_merge_size": round((merged / width) ** 0.5),
    }
    _agree(values, sizes, "vision_config.")
    defaults = Qwen2_5_VLConfig().to_dict()["vision_config"]
    known = {key: values.get(key, default) for key, default in defaults.items()} | sizes
    del known["model_type"]  # an old name there
    _head_width(known, "num_heads", width)
    taps = known["fullatt_block_indexes"]
    if not isinstance(taps, list | tuple) or not taps or any(t not in range(sizes["depth"]) for t in taps):
        raise CheckpointError(f"vision_config.fullatt_block_indexes = {taps}, of {sizes['depth']} blocks")
    return known


def _auxiliary(values: Mapping[str, Any], shapes: Shapes) -> AuxiliaryConfig:
    named = _typed(values, "mm_vision_tower_aux", str)
    aspect = _typed(values, "aux_image_aspect_ratio", str)
    if aspect not in get_args(Aspect):
        raise CheckpointError(
            f"aux_image_aspect_ratio = {aspect!r}, expected {' or '.join(map(repr, get_args(Aspect)))}"
        )
    stages = _count(shapes, DAVIT + "convs.")
    dims = [_shape(shapes, f"{DAVIT}convs.{stage}.proj.weight", 4)[0] for stage in range(stages)]
    width = TINY_HEAD_WIDTH if named.endswith(TINY) else HEAD_WIDTH
    if stages != 4 or any(dim % width for dim in dims):
        raise CheckpointError(f"{named}: expected four stages of multiples of {width} channels, got {dims}")
    heads = [dim // width for dim in dims]
    depths = [_count(shapes, f"{DAVIT}blocks.{stage}.") for stage in range(stages)]
    options = {"dims": dims, "depths": depths, "heads": heads, "groups": heads, "aspect": aspect}
    return AuxiliaryConfig("davit", options)


def _regions(values: Mapping[str, Any], shapes: Shapes) -> RegionsConfig:
    fusion: Fusion = "concat"
    if _typed(values, "mm_use_vt_region_feature_only", bool, False):
        fusion = "primary"
    elif not _typed(values, "mm_use_vision_tower_region_feature", bool, False):
        fusion = "auxiliary"
    position = _typed(values, "mm_apply_position_embedding", bool, True)
    pyramid = _typed(values, "mm_use_simpleFPN_for_vt", bool, False)
    hidden, inputs = _shape(shapes, CONNECTOR + "0.weight", 2)
    _agree(values, {"mm_region_hidden_size": inputs}, "")
    regions = RegionsConfig(
        fusion=FusionConfig(fusion, "add" if position else "none"),
        pyramid=pyramid,
        bins=_typed(values, "mm_roi_output_size", int, 7),
        hidden=hidden,
    )
    if not pyramid:
        return regions
    width = _shape(shapes, PYRAMID + "simfp_3.0.weight", 4)[0]
    return RegionsConfig(regions.fusion, True, width, regions.bins, hidden)


def _expect(values: Mapping[str, Any], key: str, wanted: Any, required: bool = False) -> None:
    value = values.get(key, None if required else wanted)
    if value != wanted:
        raise CheckpointError(f"{key} = {value!r}, expected {wanted!r}")


def _agree(values: Mapping[str, Any], sizes: Mapping[str, int], where: str) -> None:
    """The config may leave out what the tensors say, but not contradict it."""
    for key, size in sizes.items():
        if values.get(key, size) != size:
            raise CheckpointError(f"{where}{key} = {values[key]!r}, but the tensors say {size}")


def _given(values: Mapping[str, Any], key: str) -> Any:
    if key not in values:
        raise CheckpointError(f"{key} is missing")
    return values[key]


def _typed(values: Mapping[str, Any], key: str, kind: type, default: Any = None) -> Any:
    value = _given(values, key) if default is None else values.get(key, default)
    if type(value) is not kind:
        raise CheckpointError(f"{key} = {value!r}, expected a value of type {kind.__name__}")
    return value


def _shape(shapes: Shapes, key: str, rank: int) -> tuple[int, ...]:
    if key not in shapes:
        raise CheckpointError(f"missing tensor {key}")
    if len(shapes[key]) != rank:
        raise CheckpointError(f"{key} has shape {shapes[key]}, expected {rank} dimensions")
    return shapes[key]


def _count(keys: Iterable[str], prefix: str) -> int:
    """Modules numbered from 0 right below a prefix."""
    numbers = (re.match(r"(\d+)\.", key[len(prefix) :]) for key in keys if key.startswith(prefix))
    return max((int(found[1]) for found in numbers if found), default=-1) + 1

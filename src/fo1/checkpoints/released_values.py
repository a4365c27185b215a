"""A `config.json` in the released format for a model that was not released in it."""

from __future__ import annotations

from typing import Any

from transformers import Qwen2_5_VLConfig

from fo1.checkpoints.attached_config import AttachedConfig
from fo1.checkpoints.config import RELEASED
from fo1.checkpoints.released_config import (
    CONNECTOR,
    FAMILY,
    FIXED,
    TEXT_OPTIONAL,
    TEXT_REQUIRED,
    TINY,
    TINY_HEAD_WIDTH,
    TOKENS,
    Shapes,
)
from fo1.encoders.davit import LARGE, DaViT, DaViTConfig

TEXT_SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads")
VISION_KEYS = (
    "depth",
    "hidden_size",
    "intermediate_size",
    "num_heads",
    "in_channels",
    "patch_size",
    "spatial_merge_size",
    "temporal_patch_size",
    "tokens_per_second",
    "window_size",
    "out_hidden_size",
    "fullatt_block_indexes",
    "hidden_act",
)


def released_values(
    base: Qwen2_5_VLConfig, model: AttachedConfig, davit: DaViT, shapes: Shapes
) -> dict[str, Any]:
    """What `config.json` says, as far as the format has words for it; reading it tells what is lost."""
    said = base.to_dict()
    text, vision = said["text_config"], said["vision_config"]
    rope = text["rope_parameters"]
    fusion = model.regions.fusion
    return {
        "architectures": ["OmChatQwen25VLForCausalLM"],
        "model_type": RELEASED,
        "torch_dtype": str(base.dtype).removeprefix("torch."),
        **{key: text[key] for key in (*TEXT_SIZES, *TEXT_REQUIRED, *TEXT_OPTIONAL)},
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
        "tie_word_embeddings": base.tie_word_embeddings,
        **{key: getattr(base, key) for key in TOKENS},
        "vision_config": {"model_type": FAMILY, **{key: vision[key] for key in VISION_KEYS}},
        **FIXED,
        "mm_vision_tower": "Qwen2.5-VL",
        "mm_vision_tower_aux": _davit_name(davit.config),
        "mm_hidden_size": text["hidden_size"],
        "mm_region_hidden_size": shapes[CONNECTOR + "0.weight"][1],
        "mm_use_vt_region_feature_only": fusion.fusion == "primary",
        "mm_use_vision_tower_region_feature": fusion.fusion != "auxiliary",
        "mm_use_simpleFPN_for_vt": model.regions.pyramid,
        "mm_roi_output_size": model.regions.bins,
        "mm_apply_position_embedding": fusion.position == "add",
        "mm_num_region_tokens": model.vocabulary.capacity,
        "aux_image_size": 1024,
        "aux_image_aspect_ratio": davit.sizing.aspect,
    }


def _davit_name(config: DaViTConfig) -> str:
    if config.dims[0] == TINY_HEAD_WIDTH * config.heads[0]:
        return TINY
    return "davit-large.pth" if config.dims[0] == LARGE.dims[0] else "davit-base.pth"

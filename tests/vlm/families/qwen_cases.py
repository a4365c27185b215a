"""Tiny random Qwen bases, one per family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2VLImageProcessorPil

from fo1.vlm.families.qwen import QwenFamily
from fo1.vlm.family import VLMFamily
from fo1.vlm.known import family_for
from vlm.families.harness import Case, Processor, tokenizer

SPECIAL = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
TEXT = {
    "vocab_size": 288,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
}
VISION = {
    "depth": 4,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 4,
    "out_hidden_size": 64,
    "patch_size": 14,
    "initializer_range": 0.2,
}
FINE = {"patch_size": 16, "num_position_embeddings": 16}
INTERLEAVED = {**TEXT["rope_parameters"], "mrope_interleaved": True}
LINEAR = {
    "num_hidden_layers": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "head_dim": 16,
    "rope_parameters": {**INTERLEAVED, "partial_rotary_factor": 1.0},
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def qwen(model_type: str, text: dict[str, Any], vision: dict[str, Any]) -> Case:
    """A case whose small configuration differs from `TEXT` and `VISION` in these points."""

    def build() -> VLMFamily:
        words = tokenizer(*SPECIAL)
        start, end, image, video = words.convert_tokens_to_ids(SPECIAL)
        config = AutoConfig.for_model(
            model_type,
            text_config={**TEXT, **text},
            vision_config={**VISION, **vision},
            vision_start_token_id=start,
            vision_end_token_id=end,
            image_token_id=image,
            video_token_id=video,
        )
        torch.manual_seed(0)
        base = AutoModelForImageTextToText.from_config(config).eval().requires_grad_(False)
        pixels = Qwen2VLImageProcessorPil(
            patch_size=config.vision_config.patch_size,
            size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 100},
        )
        return family_for(base, Processor(pixels, words))

    return Case(model_type, build, reference, still)


def reference(family: VLMFamily, ids: Tensor, images: Sequence[Image.Image]) -> dict[str, Any]:
    """As Qwen's processors give it."""
    pixels = family.processor.image_processor(images=list(images), return_tensors="pt")
    return {**pixels, "mm_token_type_ids": (ids == family.base.config.image_token_id).long()}


def still(family: VLMFamily) -> None:
    assert isinstance(family, QwenFamily)
    for block in family._base.model.visual.blocks:
        block.attn.proj.weight.zero_()
        block.attn.proj.bias.zero_()


CASES: list[Case] = [
    qwen("qwen2_5_vl", {}, {"fullatt_block_indexes": [1, 3], "window_size": 56}),
    qwen("qwen2_vl", {}, {"embed_dim": 32, "hidden_size": 64}),
    qwen(
        "qwen3_vl",
        {"head_dim": 16, "rope_parameters": INTERLEAVED},
        {**FINE, "deepstack_visual_indexes": [0, 2]},
    ),
    qwen(
        "qwen3_vl_moe",
        {"head_dim": 16, "rope_parameters": INTERLEAVED, **EXPERTS},
        {**FINE, "deepstack_visual_indexes": [0, 2]},
    ),
    qwen("qwen3_5", LINEAR, FINE),
    qwen("qwen3_5_moe", {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 32}, FINE),
]

"""Tiny random bases of the families with a plain tower, whole or in tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    Gemma3ImageProcessorPil,
    GotOcr2ImageProcessorPil,
    Idefics3ImageProcessorPil,
    LlavaOnevisionImageProcessorPil,
    PixtralImageProcessorPil,
    PreTrainedTokenizerFast,
    SiglipImageProcessorPil,
    SmolVLMImageProcessorPil,
)

from fo1.vlm.families.tapped import TappedFamily
from fo1.vlm.family import VLMFamily
from fo1.vlm.known import family_for
from vlm.families.harness import Case, Processor, tokenizer

TEXT = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "image_size": 56,
    "patch_size": 7,
    "initializer_range": 0.2,
}
SIGLIP = {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False}
PINPOINTS = [[48 * rows, 48 * columns] for rows in range(1, 4) for columns in range(1, 4)]


def words(model_type: str) -> PreTrainedTokenizerFast:
    """The byte tokenizer with the marks of a family, under the names by which its processor knows them."""
    if model_type == "internvl":
        made = tokenizer("<img>", "</img>", "<IMG_CONTEXT>")
        named = {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
        }
    elif model_type in ("idefics3", "smolvlm"):
        tiles = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
        made = tokenizer("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *tiles)
        made.bos_token, named = "<|im_start|>", {}
    elif model_type == "gemma3":
        made = tokenizer(*GEMMA_WORDS)
        named = {
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        }
    elif model_type == "mistral3":
        made, named = tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]", "<s>", "</s>"), {}
    else:
        made, named = tokenizer("<image>", "<bos>", "<eos>"), {}
    for name, word in named.items():
        made._set_model_specific_special_tokens({name: word})
    return made


GEMMA_WORDS = (
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
)
QUIET = ("mm_input_projection_weight", "position_embeddings", "cls_token", "lambda_1", "lambda_2")
"""Weights that are zero or tiny when new, which would hide what they carry."""

PLACEHOLDER = {
    "internvl": "<IMG_CONTEXT>",
    "gemma3": "<image_soft_token>",
    "mistral3": "[IMG]",
}
"""The word whose embeddings image tokens replace; `<image>` for the others."""

PIXELS: dict[str, Callable[[], Any]] = {
    "internvl": lambda: GotOcr2ImageProcessorPil(size={"height": 56, "width": 56}, max_patches=6),
    "idefics3": lambda: Idefics3ImageProcessorPil(
        size={"longest_edge": 168}, max_image_size={"longest_edge": 56}
    ),
    "smolvlm": lambda: SmolVLMImageProcessorPil(
        size={"longest_edge": 168}, max_image_size={"longest_edge": 56}
    ),
    "llava_onevision": lambda: LlavaOnevisionImageProcessorPil(
        size={"height": 48, "width": 48}, image_grid_pinpoints=PINPOINTS
    ),
    "gemma3": lambda: Gemma3ImageProcessorPil(size={"height": 56, "width": 56}),
    "mistral3": lambda: PixtralImageProcessorPil(size={"longest_edge": 140}),
    "paligemma": lambda: SiglipImageProcessorPil(size={"height": 56, "width": 56}),
}


def build(
    model_type: str,
    text: dict[str, Any],
    vision: dict[str, Any],
    rest: dict[str, Any],
    pixels: dict[str, Any],
) -> VLMFamily:
    made = words(model_type)
    image = made.convert_tokens_to_ids(PLACEHOLDER.get(model_type, "<image>"))
    config = AutoConfig.for_model(
        model_type,
        text_config={**TEXT, **text},
        vision_config={**VISION, **vision},
        image_token_id=image,
        tie_word_embeddings=False,
        **rest,
    )
    torch.manual_seed(0)
    base = AutoModelForImageTextToText.from_config(config).eval().requires_grad_(False)
    for name, weight in base.named_parameters():
        if name.endswith(QUIET):
            nn.init.normal_(weight, std=0.5)
    preprocess = PIXELS[model_type]()
    for name, value in pixels.items():
        setattr(preprocess, name, value)
    return family_for(base, Processor(preprocess, made))


def reference(family: VLMFamily, ids: Tensor, images: Sequence[Image.Image]) -> dict[str, Any]:
    """As the families' processors give it."""
    preprocess, config = family.processor.image_processor, family.base.config
    kind = config.model_type
    if kind in ("idefics3", "smolvlm"):
        return dict(preprocess(images=[list(images)], return_tensors="pt"))
    if kind == "internvl":
        made = preprocess(images=list(images), return_tensors="pt", crop_to_patches=True)
        return {"pixel_values": made["pixel_values"]}
    if kind == "mistral3":
        return dict(preprocess(images=list(images), return_tensors="pt", patch_size=14))
    if kind == "llava_onevision":
        made = preprocess(images=list(images), return_tensors="pt")
        return {"pixel_values": made["pixel_values"], "image_sizes": made["image_sizes"]}
    if kind == "gemma3":
        options = {"pan_and_scan_max_num_crops": 4, "pan_and_scan_min_ratio_to_activate": 1.2}
        made = preprocess(images=list(images), return_tensors="pt", **options)
        return {
            "pixel_values": made["pixel_values"],
            "token_type_ids": (ids == config.image_token_id).long(),
        }
    made = preprocess(images=list(images), return_tensors="pt")
    return {"pixel_values": made["pixel_values"], "token_type_ids": torch.zeros_like(ids)}


def still(family: VLMFamily) -> None:
    assert isinstance(family, TappedFamily)
    for layer in family.base.get_submodule(family.LAYERS).modules():
        for name in ("projection_layer", "out_proj", "o_proj"):
            for child_name, child in layer.named_children():
                if child_name == name:
                    for parameter in child.parameters():
                        parameter.zero_()


def tapped(
    name: str,
    text: dict[str, Any] | None = None,
    vision: dict[str, Any] | None = None,
    rest: dict[str, Any] | None = None,
    pixels: dict[str, Any] | None = None,
    **options: Any,
) -> Case:
    """A case of a model type, with what differs in its small configuration; "type variant" names it."""
    model_type = name.split()[0]
    return Case(
        name,
        lambda: build(model_type, text or {}, vision or {}, rest or {}, pixels or {}),
        reference,
        still,
        **options,
    )


def llava(name: str, **rest: Any) -> Case:
    return tapped(
        f"llava_onevision {name}",
        {"model_type": "qwen2"},
        {**SIGLIP, "image_size": 48, "patch_size": 9},
        {"image_grid_pinpoints": PINPOINTS, **rest},
        pads=True,
        smear=3,
    )


GEMMA = {
    "sliding_window": 32,
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 16,
}

INTERN = {"image_size": [56, 56], "patch_size": [7, 7]}

CASES: list[Case] = [
    tapped("internvl", {"model_type": "qwen2"}, INTERN),
    tapped(
        "internvl earlier-layer",
        {"model_type": "qwen2"},
        INTERN,
        {"vision_feature_layer": -2},
    ),
    tapped(
        "internvl one-tile",
        {"model_type": "qwen2"},
        INTERN,
        pixels={"max_patches": 1},
    ),
    tapped("idefics3", {"model_type": "llama"}, smear=6),
    tapped("idefics3 whole", {"model_type": "llama"}, pixels={"do_image_splitting": False}, smear=6),
    tapped("smolvlm", {"model_type": "llama"}, smear=6),
    llava("anyres"),
    llava("shrunk", vision_aspect_ratio="anyres_max_1", vision_feature_layer=[-2, 2]),
    tapped("gemma3", GEMMA, SIGLIP, {"mm_tokens_per_image": 16}),
    tapped(
        "gemma3 pan-and-scan",
        GEMMA,
        SIGLIP,
        {"mm_tokens_per_image": 16},
        {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 28},
        smear=3,
    ),
    tapped("mistral3", {"model_type": "mistral"}, {"model_type": "pixtral"}),
    tapped("paligemma", {"model_type": "gemma"}, SIGLIP, {"projection_dim": 64, "hidden_size": 64}),
]

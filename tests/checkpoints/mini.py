"""A checkpoint in the released format, small enough to write in every test: real keys, random weights, a byte
tokenizer. The keys and shapes are those of the recorded tiny model, with a smaller vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import pre_tokenizers
from torch import Tensor

from fo1.prompts.vocabulary import TAGS, region_name

SHAPES: dict[str, tuple[int, ...]] = {
    key: tuple(shape)
    for key, shape in json.loads((Path(__file__).parent / "released_shapes.json").read_text()).items()
}
GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "set_b"
GOLDEN_MODEL = GOLDEN / "VLM-FO1_Qwen2.5-VL-tiny-golden"

VOCABULARY = 512
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
)
PADS = ("<|image_pad|>", "<|video_pad|>")
WORDS = [*SPECIAL, *PADS, *(region_name(i) for i in range(100)), *TAGS]
IDS = {word: 256 + i for i, word in enumerate(WORDS)}

VISION = {
    "model_type": "qwen2_5_vl",
    "depth": 4,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_heads": 4,
    "in_channels": 3,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "tokens_per_second": 2,
    "window_size": 112,
    "out_hidden_size": 64,
    "fullatt_block_indexes": [1, 3],
    "hidden_act": "silu",
}
CONFIG: dict[str, Any] = {
    "architectures": ["OmChatQwen25VLForCausalLM"],
    "model_type": "omchat_qwen2_5_vl",
    "transformers_version": "4.50.1",
    "torch_dtype": "bfloat16",
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 128000,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "use_sliding_window": False,
    "tie_word_embeddings": True,
    "bos_token_id": IDS["<|endoftext|>"],
    "eos_token_id": IDS["<|im_end|>"],
    "image_token_id": IDS["<|image_pad|>"],
    "video_token_id": IDS["<|video_pad|>"],
    "vision_start_token_id": IDS["<|vision_start|>"],
    "vision_end_token_id": IDS["<|vision_end|>"],
    "vision_config": VISION,
    "rotary_type": "fused_rotary",
    "mm_vision_tower": "resources/tower",
    "mm_vision_tower_aux": "resources/davit-tiny-golden.pth",
    "mm_projector_type": "identity",
    "mm_projector_aux_type": "mlp2x_gelu",
    "mm_region_hidden_size": 336,
    "mm_use_vision_tower_region_feature": True,
    "mm_use_simpleFPN_for_vt": True,
    "mm_region_feature_combination": "concat",
    "mm_roi_output_size": 7,
    "mm_apply_position_embedding": True,
    "mm_pos_embedding_strategy": "bbox_based",
    "mm_apply_region_layer_norm": False,
    "mm_use_region_index_token": True,
    "mm_num_region_tokens": 100,
    "aux_image_size": 1024,
    "aux_image_aspect_ratio": "dynamic",
}


def tensors(seed: int = 0) -> dict[str, Tensor]:
    """Random weights in bfloat16, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for key, shape in SHAPES.items():
        shape = (VOCABULARY, *shape[1:]) if key == "model.embed_tokens.weight" else shape
        value = torch.randn(shape, generator=generator) * 0.1
        norm = len(shape) == 1 and key.endswith(".weight")
        made[key] = (value + 1 if norm else value).bfloat16()
    return made


def write_tokenizer(folder: Path) -> None:
    """One token per byte, and the added tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    settings = {
        "added_tokens_decoder": {str(i): {"content": word, **plain} for word, i in IDS.items()},
        "additional_special_tokens": WORDS,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|image_pad|>",
        "unk_token": None,
        "tokenizer_class": "Qwen2Tokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_released(
    folder: Path,
    config: Mapping[str, Any] = CONFIG,
    state: Mapping[str, Tensor] | None = None,
    shards: int = 1,
) -> Path:
    """The checkpoint as the authors' tools write it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    images = {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056}
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    settings = {"eos_token_id": [IDS["<|im_end|>"], IDS["<|endoftext|>"]], "do_sample": True, "top_k": 1}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    state = tensors() if state is None else state
    if shards == 1:
        save_file(dict(state), folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    keys, places = list(state), {}
    for i in range(shards):
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({key: state[key] for key in keys[i::shards]}, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(keys[i::shards], name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder

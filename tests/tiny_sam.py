"""The Segment Anything family of transformers, random and tiny, built from its configs: no downloads."""

from __future__ import annotations

from pathlib import Path

from transformers import (
    Sam2Config,
    Sam2Model,
    Sam3Config,
    Sam3Model,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    ViTImageProcessorPil,
)
from transformers.models.sam2 import Sam2HieraDetConfig, Sam2VisionConfig

from tiny_saved import saved, tokenizer


def sam(folder: Path) -> Path:
    config = SamConfig(
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "window_size": 4,
            "global_attn_indexes": [1],
            "mlp_dim": 16,
            "num_pos_feats": 8,
        },
        prompt_encoder_config={
            "hidden_size": 16,
            "image_size": 64,
            "patch_size": 8,
            "mask_input_channels": 4,
        },
        mask_decoder_config=_mask_decoder(),
    )
    processor = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16}
    )
    return saved(folder, SamModel(config), processor)


def sam2(folder: Path) -> Path:
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 4, 4, 2],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    config = Sam2Config(
        vision_config=vision,
        prompt_encoder_config={
            "hidden_size": 32,
            "image_size": 64,
            "patch_size": 16,
            "mask_input_channels": 4,
        },
        mask_decoder_config={**_mask_decoder(), "hidden_size": 32},
    )
    return saved(folder, Sam2Model(config), ViTImageProcessorPil(size={"height": 64, "width": 64}))


def sam3(folder: Path) -> Path:
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, "num_layers": 1}
    config = Sam3Config(
        vision_config=_sam3_vision(),
        text_config={
            "model_type": "clip_text_model",
            "vocab_size": 1100,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "projection_dim": 16,
            "max_position_embeddings": 32,
            "eos_token_id": 102,
        },
        geometry_encoder_config=small,
        detr_encoder_config=small,
        detr_decoder_config={**small, "num_queries": 6},
        mask_decoder_config={"hidden_size": 16, "num_attention_heads": 2},
    )
    processor = ViTImageProcessorPil(size={"height": 56, "width": 56})
    return saved(folder, Sam3Model(config), processor, tokenizer(32))


def sam3_tracker(folder: Path) -> Path:
    config = Sam3TrackerConfig(
        vision_config={"model_type": "sam3_vision_model", **_sam3_vision()},
        prompt_encoder_config={"hidden_size": 16, "image_size": 56, "patch_size": 14},
        mask_decoder_config=_mask_decoder(),
    )
    return saved(folder, Sam3TrackerModel(config), ViTImageProcessorPil(size={"height": 56, "width": 56}))


def _sam3_vision() -> dict[str, object]:
    return {
        "fpn_hidden_size": 16,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "pretrain_image_size": 28,
            "patch_size": 14,
            "window_size": 2,
            "global_attn_indexes": [1],
        },
    }


def _mask_decoder() -> dict[str, int]:
    return {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 16,
    }

"""Detectors of transformers, random and tiny, built from their configs: no downloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import (
    AutoModelForObjectDetection,
    AutoModelForZeroShotObjectDetection,
    BertConfig,
    CLIPTextConfig,
    DetrConfig,
    DetrImageProcessorPil,
    GroundingDinoConfig,
    GroundingDinoImageProcessorPil,
    OmDetTurboConfig,
    Owlv2Config,
    Owlv2ImageProcessorPil,
    ResNetConfig,
    RTDetrConfig,
    RTDetrImageProcessorPil,
    RTDetrResNetConfig,
    SwinConfig,
)

from tiny_sam import sam3
from tiny_saved import saved, tokenizer


def rtdetr(folder: Path) -> Path:
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1], out_indices=[2, 3, 4]
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_hidden_dim=16,
        encoder_in_channels=[12, 16, 24],
        feat_strides=[8, 16, 32],
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        d_model=16,
        num_queries=12,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        num_denoising=0,
        id2label={0: "cat", 1: "dog", 2: "cup"},
        label2id={"cat": 0, "dog": 1, "cup": 2},
    )
    processor = RTDetrImageProcessorPil(size={"height": 64, "width": 64})
    return saved(folder, AutoModelForObjectDetection.from_config(config), processor)


def detr(folder: Path) -> Path:
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    config = DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=8,
        num_labels=3,
    )
    processor = DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    return saved(folder, AutoModelForObjectDetection.from_config(config), processor)


def owlv2(folder: Path) -> Path:
    config = Owlv2Config(
        text_config={
            "vocab_size": 1100,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 16,
            "eos_token_id": 102,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
        },
        projection_dim=16,
    )
    processor = Owlv2ImageProcessorPil(size={"height": 64, "width": 64})
    model = AutoModelForZeroShotObjectDetection.from_config(config)
    return saved(folder, model, processor, tokenizer(16))


def omdet(folder: Path) -> Path:
    config = OmDetTurboConfig(
        backbone_config=_swin(),
        text_config=CLIPTextConfig(
            vocab_size=1100,
            hidden_size=32,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            projection_dim=16,
            eos_token_id=102,
        ),
        use_timm_backbone=False,
        apply_layernorm_after_vision_backbone=False,
        image_size=64,
        encoder_in_channels=[16, 32, 64],
        encoder_hidden_dim=16,
        vision_features_channels=[16, 16, 16],
        encoder_attention_heads=2,
        encoder_dim_feedforward=16,
        decoder_hidden_dim=16,
        decoder_num_heads=2,
        decoder_num_layers=1,
        decoder_dim_feedforward=16,
        num_queries=10,
        text_projection_in_dim=32,
        text_projection_out_dim=32,
        task_encoder_hidden_dim=16,
        class_embed_dim=32,
    )
    processor = DetrImageProcessorPil(size={"height": 64, "width": 64}, do_pad=False)
    model = AutoModelForZeroShotObjectDetection.from_config(config)
    return saved(folder, model, processor, tokenizer(77))


def grounding_dino(folder: Path) -> Path:
    config = GroundingDinoConfig(
        backbone_config=_swin(),
        text_config=BertConfig(
            vocab_size=1100,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
        ),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=10,
        num_feature_levels=3,
        max_text_len=32,
        use_timm_backbone=False,
    )
    processor = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    model = AutoModelForZeroShotObjectDetection.from_config(config)
    return saved(folder, model, processor, tokenizer(32))


def _swin() -> SwinConfig:
    return SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_indices=[2, 3, 4],
    )


DETECTORS: dict[str, Callable[[Path], Path]] = {
    "rtdetr": rtdetr,
    "detr": detr,
    "owlv2": owlv2,
    "omdet": omdet,
    "groundingdino": grounding_dino,
    "sam3": sam3,
}

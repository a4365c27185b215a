"""Detectors and mask models of transformers, random and tiny, built from their configs: no downloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
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
    PreTrainedTokenizerFast,
    ResNetConfig,
    RTDetrConfig,
    RTDetrImageProcessorPil,
    RTDetrResNetConfig,
    Sam2Config,
    Sam2Model,
    Sam3Config,
    Sam3Model,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    SwinConfig,
    ViTImageProcessorPil,
)
from transformers.models.sam2 import Sam2HieraDetConfig, Sam2VisionConfig

WORDS = ("object", "cat", "dog", "red", "detect", "all", "objects", "a", ",")


def tokenizer(length: int) -> PreTrainedTokenizerFast:
    """One token a word; the ids of its marks are BERT's, which GroundingDINO knows by heart."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 101, "[SEP]": 102, ".": 1012}
    vocabulary |= {word: number for number, word in enumerate(WORDS, start=2)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=length,
    )


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
    return _saved(folder, AutoModelForObjectDetection.from_config(config), processor)


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
    return _saved(folder, AutoModelForObjectDetection.from_config(config), processor)


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
    return _saved(folder, model, processor, tokenizer(16))


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
    return _saved(folder, model, processor, tokenizer(77))


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
    return _saved(folder, model, processor, tokenizer(32))


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
    return _saved(folder, Sam3Model(config), processor, tokenizer(32))


def sam3_tracker(folder: Path) -> Path:
    config = Sam3TrackerConfig(
        vision_config={"model_type": "sam3_vision_model", **_sam3_vision()},
        prompt_encoder_config={"hidden_size": 16, "image_size": 56, "patch_size": 14},
        mask_decoder_config=_mask_decoder(),
    )
    return _saved(folder, Sam3TrackerModel(config), ViTImageProcessorPil(size={"height": 56, "width": 56}))


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
    return _saved(folder, SamModel(config), processor)


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
    return _saved(folder, Sam2Model(config), ViTImageProcessorPil(size={"height": 64, "width": 64}))


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


def _saved(folder: Path, model: torch.nn.Module, *parts: object) -> Path:
    """Weights wider than usual, so that answers depend on the image."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    for part in (model, *parts):
        part.save_pretrained(folder)
    return folder


DETECTORS: dict[str, Callable[[Path], Path]] = {
    "rtdetr": rtdetr,
    "detr": detr,
    "owlv2": owlv2,
    "omdet": omdet,
    "groundingdino": grounding_dino,
    "sam3": sam3,
}

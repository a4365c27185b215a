from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from transformers import Florence2VisionConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

from checkpoints.mini import CONFIG, GOLDEN, SHAPES, VISION
from fo1.checkpoints.renaming import ROWS, Part, ours_to_released, released_to_ours
from fo1.encoders.davit import DaViT, DaViTConfig
from fo1.errors import CheckpointError
from fo1.regions.branches import LevelBranch, PyramidBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import FusionConfig, HybridRegionEncoder

TEXT = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
DIMS, HEADS = (16, 32, 64, 128), (2, 4, 8, 16)


@pytest.fixture(scope="module")
def modules() -> dict[Part, nn.Module]:
    """The recorded tiny model's parts, built by hand."""
    config = Qwen2_5_VLConfig(
        text_config={
            **{key: CONFIG[key] for key in TEXT},
            "vocab_size": 151936,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
        },
        vision_config={**VISION, "model_type": "qwen2_5_vl_vision"},
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        primary = PyramidBranch(64, 24)
        auxiliary = LevelBranch(DIMS, resize_to_first=True)
        connector = Connector(primary.out_channels + auxiliary.out_channels, 64, 64)
        return {
            "base": Qwen2_5_VLForConditionalGeneration(config),
            "auxiliary": DaViT(DaViTConfig(DIMS, (1, 1, 2, 1), HEADS, HEADS)),
            "encoder": HybridRegionEncoder(primary, auxiliary, connector, FusionConfig()),
        }


def test_every_released_key_there_and_back() -> None:
    targets = {released_to_ours(key) for key in SHAPES}
    assert len(targets) == len(SHAPES) == 304
    assert {ours_to_released(part, key) for part, key in targets} == set(SHAPES)


def test_the_targets_are_exactly_the_modules_weights(modules: dict[Part, nn.Module]) -> None:
    ours = {
        (part, key): tuple(value.shape)
        for part, module in modules.items()
        for key, value in module.state_dict().items()
    }
    del ours["base", "lm_head.weight"]  # tied
    assert {released_to_ours(key): shape for key, shape in SHAPES.items()} == ours


def test_davit_is_transformers_own() -> None:
    """Its wrapper renames nothing, so that the table stays right if the wrapper changes."""
    config = Florence2VisionConfig(embed_dim=DIMS, depths=(1, 1, 2, 1), num_heads=HEADS, num_groups=HEADS)
    with torch.device("meta"):
        keys = {f"backbone.{key}" for key in Florence2VisionBackbone(config).state_dict()}
    assert keys == {key for part, key in map(released_to_ours, SHAPES) if part == "auxiliary"}


def test_no_name_stands_for_two() -> None:
    assert len({row.released for row in ROWS}) == len(ROWS)
    assert len({(row.part, row.ours) for row in ROWS}) == len(ROWS)
    assert all(row.released.count("#") == row.ours.count("#") for row in ROWS)


def test_block_numbers_of_any_length() -> None:
    key = "model.vision_tower_aux.image_tower.blocks.2.10.spatial_block.ffn.fn.net.fc1.bias"
    assert released_to_ours(key) == ("auxiliary", "backbone.blocks.2.10.spatial_block.ffn.fc1.bias")
    assert ours_to_released("base", "model.language_model.layers.35.mlp.up_proj.weight") == (
        "model.layers.35.mlp.up_proj.weight"
    )


def test_an_untied_head() -> None:
    assert released_to_ours("lm_head.weight") == ("base", "lm_head.weight")


@pytest.mark.parametrize(
    "key",
    [
        "model.embed_tokens",
        "model.layers.x.mlp.up_proj.weight",
        "model.layers.0.mlp.up_proj.scale",
        "model.mm_projector.0.weight",
        "model.mm_projector_aux.1.weight",
        "model.vision_tower.image_tower.blocks.0.1.norm1.weight",
        "xmodel.norm.weight",
        "model.norm.weight.weight",
        "model-norm.weight",
        "",
    ],
)
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(CheckpointError, match="is not a tensor of a released"):
        released_to_ours(key)


def test_our_keys_belong_to_their_part() -> None:
    with pytest.raises(CheckpointError, match="no place for connector.mlp.1.weight of the base"):
        ours_to_released("base", "connector.mlp.1.weight")
    with pytest.raises(CheckpointError, match="no place for evidence.gain of the encoder"):
        ours_to_released("encoder", "evidence.gain")


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden recordings are not here")
def test_the_list_of_keys_is_the_recorded_one() -> None:
    recorded = json.loads((GOLDEN / "state_dict_shapes.json").read_text())
    assert {key: tuple(shape) for key, shape in recorded.items()} == SHAPES

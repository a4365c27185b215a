from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from checkpoints import mini
from checkpoints.mini import CONFIG, GOLDEN, GOLDEN_MODEL, IDS, tensors, write_released
from fo1.checkpoints.attached import Parts
from fo1.checkpoints.attached_config import AttachedConfig, AuxiliaryConfig, RegionsConfig
from fo1.checkpoints.config import kind_of
from fo1.checkpoints.released import load_parts
from fo1.checkpoints.renaming import released_to_ours
from fo1.encoders.davit import DaViT, DaViTConfig
from fo1.errors import CheckpointError
from fo1.regions.branches import LevelBranch, PyramidBranch
from fo1.regions.encoder import FusionConfig

DIMS, HEADS = (16, 32, 64, 128), (2, 4, 8, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_released(tmp_path_factory.mktemp("any name at all"))


@pytest.fixture(scope="module")
def parts(folder: Path) -> Parts:
    return load_parts(folder, torch.float32)


def modules(parts: Parts) -> dict[str, nn.Module]:
    assert parts.auxiliary is not None
    return {"base": parts.base, "auxiliary": parts.auxiliary, "encoder": parts.encoder}


def everything(parts: Parts) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, module in modules(parts).items()
        for key, value in [*module.named_parameters(), *module.named_buffers()]
    }


def same(one: Parts, other: Parts) -> bool:
    first, second = everything(one), everything(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_every_weight_is_where_it_belongs(parts: Parts) -> None:
    for key, value in tensors().items():
        part, ours = released_to_ours(key)
        loaded = modules(parts)[part].get_parameter(ours)
        assert loaded.dtype == torch.float32 and torch.equal(loaded, value.float()), key


def test_nothing_is_left_without_numbers_or_with_a_gradient(parts: Parts) -> None:
    assert not any(value.is_meta or value.requires_grad for value in everything(parts).values())
    assert not any(module.training for module in modules(parts).values())
    assert parts.base.lm_head.weight is parts.base.get_input_embeddings().weight


def test_the_base_computes_as_one_that_was_loaded_in_the_ordinary_way(parts: Parts) -> None:
    """Buffers that no checkpoint stores, such as rotary frequencies, included."""
    plain = Qwen2_5_VLForConditionalGeneration(parts.base.config)
    plain.load_state_dict(parts.base.state_dict())
    ids = torch.tensor([[1, 2, 3, 300, 5, 6]])
    with torch.no_grad():
        assert torch.equal(parts.base(input_ids=ids).logits, plain.eval()(input_ids=ids).logits)
    buffers = dict(plain.named_buffers())
    assert len(buffers) == 4
    assert all(torch.equal(value, buffers[key]) for key, value in parts.base.named_buffers())


def test_half_precision_keeps_the_bits(folder: Path) -> None:
    parts = load_parts(folder, torch.bfloat16)
    for key, value in tensors().items():
        part, ours = released_to_ours(key)
        assert torch.equal(modules(parts)[part].get_parameter(ours), value), key
    assert parts.base.model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    assert torch.isfinite(parts.base(input_ids=torch.tensor([[1, 2, 3]])).logits).all()


def test_shards(folder: Path, parts: Parts, tmp_path: Path) -> None:
    assert same(load_parts(write_released(tmp_path, shards=3), torch.float32), parts)


def test_the_config_in_our_words(parts: Parts) -> None:
    config, base = parts.config, parts.base.config
    assert (config.family, config.vocabulary.kind, config.vocabulary.capacity) == (
        "qwen2_5_vl",
        "static",
        100,
    )
    assert config.regions == RegionsConfig(FusionConfig("concat", "add"), True, 24, 7, 64)
    assert isinstance(parts.auxiliary, DaViT)
    assert parts.auxiliary.config == DaViTConfig(DIMS, (1, 1, 2, 1), HEADS, HEADS)
    assert base.text_config.rope_parameters == {
        "rope_type": "default",
        "rope_theta": 1000000.0,
        "mrope_section": [2, 3, 3],
    }
    assert (base.text_config.rms_norm_eps, base.text_config.vocab_size) == (1e-6, mini.VOCABULARY)
    assert (base.vision_config.fullatt_block_indexes, base.vision_config.depth) == ([1, 3], 4)
    assert (base.image_token_id, base.vision_start_token_id) == (
        IDS["<|image_pad|>"],
        IDS["<|vision_start|>"],
    )
    assert parts.base.generation_config.eos_token_id == [IDS["<|im_end|>"], IDS["<|endoftext|>"]]
    assert parts.family.channels == (64, 64)


def test_the_processor(parts: Parts) -> None:
    tokenizer = parts.processor.tokenizer
    assert tokenizer("<region3>a\n", add_special_tokens=False).input_ids[0] == IDS["<region3>"]
    assert tokenizer.convert_tokens_to_ids("</objects>") == IDS["</objects>"]
    size = parts.processor.image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (56**2, 2048**2)


def changed(**values: Any) -> dict[str, Any]:
    """The config with these values; None leaves a key out."""
    return {key: value for key, value in {**CONFIG, **values}.items() if value is not None}


def without(*prefixes: str, **replaced: Tensor) -> dict[str, Tensor]:
    """The weights without those of some prefixes."""
    state = {key: value for key, value in tensors().items() if not key.startswith(prefixes)}
    return state | replaced


CONNECTOR, FPN = "model.mm_projector_aux.0.weight", "model.object_vp_extractor"


@pytest.mark.parametrize(
    ("values", "state", "regions"),
    [
        ({"mm_roi_output_size": 14}, None, RegionsConfig(pyramid_width=24, bins=14, hidden=64)),
        (
            {"mm_apply_position_embedding": False},
            None,
            RegionsConfig(FusionConfig(position="none"), pyramid_width=24, hidden=64),
        ),
        (
            {"mm_use_simpleFPN_for_vt": False, "mm_region_hidden_size": 368},
            without(FPN, **{CONNECTOR: torch.zeros(64, 368)}),
            RegionsConfig(pyramid=False, hidden=64),
        ),
        (
            {"mm_use_vision_tower_region_feature": False, "mm_use_simpleFPN_for_vt": None}
            | {"mm_region_hidden_size": 240},
            without(FPN, **{CONNECTOR: torch.zeros(64, 240)}),
            RegionsConfig(FusionConfig("auxiliary"), pyramid=False, hidden=64),
        ),
        (
            {"mm_use_vt_region_feature_only": True, "mm_region_hidden_size": 96},
            without(**{CONNECTOR: torch.zeros(64, 96)}),
            RegionsConfig(FusionConfig("primary"), pyramid_width=24, hidden=64),
        ),
        (  # what is not said is as in the authors' code
            {"mm_roi_output_size": None, "mm_num_region_tokens": None, "mm_region_feature_combination": None},
            None,
            RegionsConfig(pyramid_width=24, hidden=64),
        ),
    ],
)
def test_variants(
    tmp_path: Path, values: dict[str, Any], state: dict[str, Tensor] | None, regions: RegionsConfig
) -> None:
    parts = load_parts(write_released(tmp_path, changed(**values), state), torch.float32)
    assert parts.config.regions == regions
    kind = PyramidBranch if regions.pyramid else LevelBranch
    assert isinstance(parts.encoder.primary, kind) and parts.encoder.primary.bins == regions.bins


@pytest.mark.parametrize("aspect", ["dynamic", "squash"])
def test_the_auxiliary_input(tmp_path: Path, aspect: str) -> None:
    parts = load_parts(write_released(tmp_path, changed(aux_image_aspect_ratio=aspect)), torch.float32)
    assert isinstance(parts.auxiliary, DaViT) and parts.auxiliary.sizing.aspect == aspect


def test_sizes_that_the_config_leaves_out_are_read_off_the_tensors(tmp_path: Path, parts: Parts) -> None:
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "tie_word_embeddings")
    sizes += ("num_key_value_heads",)
    vision = ("num_heads", "window_size", "fullatt_block_indexes", "hidden_act")
    config = changed(**dict.fromkeys(sizes)) | {
        "vision_config": {key: CONFIG["vision_config"][key] for key in vision}
    }
    loaded = load_parts(write_released(tmp_path, config), torch.float32)
    assert same(loaded, parts) and loaded.config == parts.config


def test_an_untied_head_is_kept(tmp_path: Path) -> None:
    head = torch.randn(mini.VOCABULARY, 64).bfloat16()
    state = tensors() | {"lm_head.weight": head}
    parts = load_parts(write_released(tmp_path, changed(tie_word_embeddings=False), state), torch.bfloat16)
    assert torch.equal(parts.base.lm_head.weight, head)
    assert torch.equal(parts.base.get_input_embeddings().weight, state["model.embed_tokens.weight"])


def test_rope_as_transformers_5_writes_it(tmp_path: Path, parts: Parts) -> None:
    rope = {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [2, 3, 3]}
    config = changed(rope_theta=None, rope_scaling=None, rope_parameters=rope)
    assert same(load_parts(write_released(tmp_path, config), torch.float32), parts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_attention_heads": None}, "num_attention_heads is missing"),
        ({"num_attention_heads": "many"}, "num_attention_heads = 'many', expected a value of type int"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0, expected a divisor of 64"),
        (
            {"num_attention_heads": 8, "num_key_value_heads": 4},
            "mrope_section = .2, 3, 3., expected whole numbers with the sum 4",
        ),
        ({"rms_norm_eps": "small"}, "they do not describe a qwen2_5_vl: .*rms_norm_eps"),
        ({"vision_config": {**mini.VISION, "fullatt_block_indexes": [7]}}, "_indexes = .7., of 4 blocks"),
        ({"vision_config": {**mini.VISION, "num_heads": [4]}}, "num_heads = .4., expected a value"),
        ({"vision_config": None}, "vision_config is missing"),
        ({"vision_config": 3}, "vision_config = 3, expected a value of type dict"),
        ({"mm_vision_tower_aux": None}, "mm_vision_tower_aux is missing"),
        (
            {"mm_vision_tower_aux": "x/davit-large.pth"},
            "davit-large.pth: expected four stages of multiples of 32",
        ),
        ({"aux_image_aspect_ratio": "wide"}, "aux_image_aspect_ratio = 'wide', expected 'dynamic' or"),
        ({"rope_scaling": None}, "mrope_section = None, expected whole numbers"),
        ({"rope_theta": None}, "rope_theta must be a number"),
        ({"rope_scaling": {"type": "yarn", "mrope_section": [2, 3, 3]}}, "type = 'yarn', expected 'mrope'"),
        ({"hidden_size": 96}, "hidden_size = 96, but the tensors say 64"),
        ({"num_hidden_layers": 36}, "num_hidden_layers = 36, but the tensors say 3"),
        ({"vision_config": {**mini.VISION, "depth": 32}}, "vision_config.depth = 32, but the tensors say 4"),
        ({"mm_region_hidden_size": 5888}, "mm_region_hidden_size = 5888, but the tensors say 336"),
        (
            {"mm_region_feature_combination": "mean"},
            "mm_region_feature_combination = 'mean', expected 'concat'",
        ),
        ({"mm_apply_region_layer_norm": True}, "mm_apply_region_layer_norm = True, expected False"),
        ({"mm_projector_type": "linear"}, "mm_projector_type = 'linear', expected 'identity'"),
        ({"mm_roi_output_size": "7"}, "mm_roi_output_size = '7', expected a value of type int"),
        ({"mm_roi_output_size": -1}, "regions.bins = -1"),
        ({"quantization_config": {"bits": 4}}, "quantised weights cannot be read"),
        ({"model_type": "qwen2_5_vl"}, "model_type = 'qwen2_5_vl', expected 'omchat_qwen2_5_vl'"),
        ({"num_key_value_heads": 4}, "num_key_value_heads = 4, but the tensors say 2"),
        ({"mm_use_simpleFPN_for_vt": False}, "unexpected model.object_vp_extractor.simple_fpn"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    write_released(tmp_path, changed(**values))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_parts(tmp_path, torch.float32)
    assert str(tmp_path) in str(caught.value)


def drop(key: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(key)


def put(key: str, *shape: int) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.update({key: torch.zeros(shape)})


NORM, DEPTHWISE = "model.norm.weight", "model.vision_tower_aux.image_tower.convs.2.norm.bias"


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ([drop(NORM)], [f"missing {NORM}"]),
        ([drop("model.embed_tokens.weight")], ["missing tensor model.embed_tokens.weight"]),
        ([put("model.mm_projector.0.weight", 1)], ["unexpected model.mm_projector.0.weight"]),
        ([put("lm_head.weight", 1)], ["unexpected lm_head.weight"]),
        ([put(DEPTHWISE, 33)], [rf"{DEPTHWISE} is \(33,\), not \(32,\)"]),
        ([put("model.embed_tokens.weight", 9)], [r"has shape \(9,\), expected 2 dimensions"]),
        (
            [drop(NORM), put("extra.weight", 1), put(DEPTHWISE, 1)],
            [f"missing {NORM}; unexpected extra.weight; {DEPTHWISE} is"],
        ),
        (
            [lambda s: [s.pop(k) for k in list(s) if "blocks.1.mlp" in k]],
            ["missing .*blocks.1.mlp.down_proj"],
        ),
    ],
)
def test_missing_extra_and_misshapen_tensors_are_listed(
    tmp_path: Path, changes: list[Callable[[dict[str, Tensor]], object]], messages: list[str]
) -> None:
    state = tensors()
    for change in changes:
        change(state)
    write_released(tmp_path, state=state)
    for message in messages:
        with pytest.raises(CheckpointError, match=message):
            load_parts(tmp_path, torch.float32)


def test_damaged_shards(tmp_path: Path) -> None:
    write_released(tmp_path, shards=2)
    shard = tmp_path / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match="model-00002-of-00002.safetensors is truncated or damaged"):
        load_parts(tmp_path, torch.float32)
    shard.unlink()
    with pytest.raises(CheckpointError, match="lacks shards that its index lists: model-00002"):
        load_parts(tmp_path, torch.float32)


def test_without_its_files_a_tokenizer_is_refused(tmp_path: Path) -> None:
    write_released(tmp_path)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match="the tokenizer in .* lacks <region0>; .* and 103 more"):
        load_parts(tmp_path, torch.float32)


def test_more_regions_than_the_tokenizer_names(tmp_path: Path) -> None:
    write_released(tmp_path, changed(mm_num_region_tokens=101))
    with pytest.raises(CheckpointError, match="lacks <region100>"):
        load_parts(tmp_path, torch.float32)


@pytest.mark.parametrize("text", ["{", None])
def test_a_processor_that_does_not_load(tmp_path: Path, text: str | None) -> None:
    file = write_released(tmp_path) / "preprocessor_config.json"
    file.unlink()
    if text is not None:
        file.write_text(text)
    with pytest.raises(CheckpointError, match="the processor in .* does not load"):
        load_parts(tmp_path, torch.float32)


@pytest.mark.parametrize(
    ("text", "released"),
    [
        (json.dumps(CONFIG), True),
        ('{"model_type": "qwen2_5_vl"}', False),
        ('{"model_type": ["omchat_qwen2_5_vl"]}', False),
        ('{"format": "fo1"}', False),
        ("[]", False),
        ("{", False),
        (None, False),
    ],
)
def test_only_the_config_tells_the_format(tmp_path: Path, text: str | None, released: bool) -> None:
    folder = tmp_path / "VLM-FO1_Qwen2.5-VL-3B-v01"
    folder.mkdir()
    if text is not None:
        (folder / "config.json").write_text(text)
    assert (kind_of(folder) == "released") is released


def test_the_base_config_is_complete_without_transformers_defaults(parts: Parts) -> None:
    """Nothing of a size may come from transformers' own 7B defaults."""
    said, defaults = parts.base.config.to_dict(), Qwen2_5_VLConfig().to_dict()
    for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        assert said["text_config"][key] == CONFIG[key] != defaults["text_config"][key]


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden recordings are not here")
def test_the_recorded_checkpoint() -> None:
    parts = load_parts(GOLDEN_MODEL, torch.float32)
    facts = json.loads((GOLDEN / "tokenizer_facts.json").read_text())
    tokenizer = parts.processor.tokenizer
    assert {word: tokenizer.convert_tokens_to_ids(word) for word in facts["special"]} == facts["special"]
    for text, ids in facts["not_tokens"].items():
        assert tokenizer(text, add_special_tokens=False).input_ids == ids
    assert len(tokenizer) == facts["len"]
    davit = {"dims": list(DIMS), "depths": [1, 1, 2, 1], "heads": list(HEADS), "groups": list(HEADS)}
    assert parts.config == AttachedConfig(
        name="VLM-FO1",
        family="qwen2_5_vl",
        family_options={"min_side": 28, "max_side": 2048},
        pixels=(3136, 4194304),
        auxiliary=AuxiliaryConfig("davit", {**davit, "aspect": "dynamic"}),
        regions=RegionsConfig(pyramid_width=24, hidden=64),
        chat={"system": "You are a helpful assistant.", "after_system": "<|im_end|>"},
    )

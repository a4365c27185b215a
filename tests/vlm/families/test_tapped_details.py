"""Where single patches land, and what stands for an image: as the families' own processors have it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    Gemma3Processor,
    Idefics3Processor,
    InternVLProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessorPil,
    LlavaOnevisionProcessor,
    PaliGemmaProcessor,
    PreTrainedModel,
    SmolVLMProcessor,
)
from transformers.image_processing_utils import select_best_resolution

from fo1.types import Regions
from fo1.vlm.families.llava_onevision import LlavaOnevision
from fo1.vlm.families.tapped import TappedFamily, layers_read
from fo1.vlm.family import VLMFamily
from tiny import picture
from vlm.families import tapped_cases
from vlm.families.harness import Case, logits
from vlm.families.tapped_cases import CASES, PINPOINTS, SIGLIP, tapped

BY_NAME = {case.name: case for case in CASES}
SQUARE_PATCHES = tapped(
    "llava_onevision",
    {"model_type": "qwen2"},
    {**SIGLIP, "image_size": 48, "patch_size": 8},
    {"image_grid_pinpoints": PINPOINTS},
)


@pytest.mark.parametrize(
    ("case", "size", "grid"),
    [
        (BY_NAME["internvl"], (168, 112), (16, 24)),
        (BY_NAME["internvl"], (56, 280), (40, 8)),
        (BY_NAME["internvl one-tile"], (56, 56), (8, 8)),
        (BY_NAME["idefics3"], (168, 112), (16, 24)),
        (BY_NAME["smolvlm"], (56, 168), (24, 8)),
        (SQUARE_PATCHES, (144, 96), (12, 18)),
        (SQUARE_PATCHES, (48, 144), (18, 6)),
        (BY_NAME["gemma3"], (56, 56), (8, 8)),
        (BY_NAME["gemma3 pan-and-scan"], (168, 56), (8, 24)),
        (BY_NAME["gemma3 pan-and-scan"], (56, 112), (16, 8)),
        (BY_NAME["mistral3"], (140, 84), (12, 20)),
        (BY_NAME["paligemma"], (56, 56), (8, 8)),
    ],
    ids=lambda value: str(value),
)
@torch.no_grad()
def test_a_painted_patch_changes_its_cell_only(
    case: Case, size: tuple[int, int], grid: tuple[int, int]
) -> None:
    """The image has the size the tower wants, so nothing is resampled and every cell is checked exactly."""
    family = case.build()
    case.still(family)
    image = picture(5, size)
    (before,) = family.see([image])
    assert before.maps.maps[0].shape[1:] == grid
    assert before.maps.frame.offset == (0.0, 0.0)
    patch = int(before.maps.strides[0])
    rng = np.random.default_rng(0)
    for _ in range(6):
        row, column = int(rng.integers(grid[0])), int(rng.integers(grid[1]))
        painted = np.asarray(image).copy()
        area = painted[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
        area[:] = 255 - area
        (after,) = family.see([Image.fromarray(painted)])
        for old, new in zip(before.maps.maps, after.maps.maps, strict=True):
            changed = (old - new).abs().amax(dim=0) > 1e-5
            assert changed.nonzero().tolist() == [[row, column]]


def bare(kind: type, **attributes: Any) -> Any:
    """A processor that only words an image; making a whole one would need torchvision for its videos."""
    made = object.__new__(kind)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def internvl_words(family: VLMFamily, image: Image.Image) -> str:
    words = bare(
        InternVLProcessor,
        start_image_token="<img>",
        end_image_token="</img>",
        image_token="<IMG_CONTEXT>",
        image_seq_length=16,
    )
    made = family.processor.image_processor(images=[image], crop_to_patches=True)
    return words.replace_image_token(made, 0)


def smolvlm_words(family: VLMFamily, image: Image.Image) -> str:
    words = bare(
        SmolVLMProcessor,
        fake_image_token="<fake_token_around_image>",
        image_token="<image>",
        global_image_token="<global-img>",
        image_seq_len=16,
    )
    return words.replace_image_token(family.processor.image_processor([[image]], return_row_col_info=True), 0)


def llava_words(family: VLMFamily, image: Image.Image) -> str:
    words = bare(
        LlavaOnevisionProcessor,
        image_processor=family.processor.image_processor,
        num_image_tokens=25,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=family.base.config.vision_aspect_ratio,
        image_token="<image>",
    )
    return words.replace_image_token(family.processor.image_processor(images=[image]), 0)


def mistral_words(family: VLMFamily, image: Image.Image) -> str:
    made = family.processor.image_processor(images=[image], patch_size=14)
    height, width = made["image_sizes"][0]
    return (
        ("[IMG]" * (width // 14) + "[IMG_BREAK]") * (height // 14 - 1) + "[IMG]" * (width // 14) + "[IMG_END]"
    )


SIZES = [(168, 126), (90, 200), (64, 64), (500, 60), (37, 411), (56, 56), (300, 290)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("internvl", internvl_words),
        ("internvl one-tile", internvl_words),
        ("smolvlm", smolvlm_words),
        ("llava_onevision anyres", llava_words),
        ("llava_onevision shrunk", llava_words),
        ("mistral3", mistral_words),
    ],
)
@torch.no_grad()
def test_an_image_stands_as_its_processor_words_it(
    name: str, words: Callable[[VLMFamily, Image.Image], str]
) -> None:
    family = BY_NAME[name].build()
    for size in SIZES:
        image = picture(1, size)
        (sight,) = family.see([image])
        expected = family.processor.tokenizer(words(family, image), add_special_tokens=False).input_ids
        assert list(sight.ids) == expected, size


def test_llava_onevision_counts_tokens_as_its_processor_does_at_real_sizes() -> None:
    config = LlavaOnevisionConfig()
    family = LlavaOnevision(cast(PreTrainedModel, SimpleNamespace(config=config)), None)
    words = bare(
        LlavaOnevisionProcessor,
        image_processor=LlavaOnevisionImageProcessorPil(),
        num_image_tokens=27**2,
        vision_aspect_ratio="anyres_max_9",
    )
    rng = np.random.default_rng(0)
    sizes = [(384, 384), (2304, 384), (1, 1), (4000, 3), *rng.integers(1, 3000, (300, 2)).tolist()]
    for width, height in sizes:
        best = select_best_resolution((height, width), config.image_grid_pinpoints)
        ours = family._tokens((width, height), best[::-1])
        assert ours == words._get_number_of_features(height, width, 384, 384), (width, height)


@pytest.mark.parametrize(
    ("name", "kind", "options", "before", "after"),
    [
        ("idefics3", Idefics3Processor, {"image_seq_len": 16}, "User:<image>", "What?"),
        ("idefics3 whole", Idefics3Processor, {"image_seq_len": 16}, "User:<image>", "What?"),
        ("gemma3", Gemma3Processor, {"image_seq_length": 16}, "user\n<start_of_image>", "What?"),
        ("paligemma", PaliGemmaProcessor, {}, "<image>", "What?"),
    ],
)
@torch.no_grad()
def test_the_real_processor_gives_the_same_prompt_and_logits(
    name: str, kind: type, options: dict[str, Any], before: str, after: str
) -> None:
    family = BY_NAME[name].build()
    preprocess, words = family.processor.image_processor, family.processor.tokenizer
    if kind is PaliGemmaProcessor:
        preprocess.image_seq_length, words.bos_token = 64, "<bos>"
        words._set_model_specific_special_tokens({"image_token": "<image>"})
    real = kind(preprocess, words, **options)
    for size in SIZES:
        image = picture(1, size)
        made = real(text=[before + after], images=[[image]], return_tensors="pt")
        made.pop("labels", None)
        made.pop("mm_token_type_ids", None)
        (sight,) = family.see([image])
        given = made["input_ids"][0].tolist()
        starts = [i for i in range(len(given)) if tuple(given[i : i + len(sight.ids)]) == sight.ids]
        assert len(starts) == 1
        placeholder = family.base.config.image_token_id
        assert given.count(placeholder) == sight.ids.count(placeholder)
        assert torch.equal(logits(family, [given], [sight]), family.base(**made).logits)


@torch.no_grad()
def test_crops_of_pan_and_scan_are_worded_as_by_the_processor() -> None:
    family = BY_NAME["gemma3 pan-and-scan"].build()
    real = Gemma3Processor(family.processor.image_processor, family.processor.tokenizer, image_seq_length=16)
    for size in [(168, 56), (56, 300), (64, 64)]:
        image = picture(1, size)
        made = real(
            text=["<start_of_image>"],
            images=[[image]],
            return_tensors="pt",
            do_pan_and_scan=True,
            pan_and_scan_min_crop_size=28,
        )
        (sight,) = family.see([image])
        assert made["input_ids"][0].tolist() == list(sight.ids)
        assert torch.equal(logits(family, [list(sight.ids)], [sight]), family.base(**made).logits)


@torch.no_grad()
def test_padding_before_the_image_is_no_place_for_boxes() -> None:
    """LLaVA-OneVision centres an image on its canvas: the frame says where in the map it begins."""
    family = BY_NAME["llava_onevision anyres"].build()
    for size in [(168, 126), (90, 200), (500, 60), (37, 411)]:
        (sight,) = family.see([picture(size=size)])
        frame, (stride, *_), (level, *_) = sight.maps.frame, sight.maps.strides, sight.maps.maps
        whole = Regions.of([[0, 0, *size]], size)
        (box,) = frame.boxes_in(torch.tensor(whole.xyxy)).tolist()
        assert all(0 <= start < stride for start in box[:2])
        assert box[2] <= level.shape[2] * stride < box[2] + stride
        assert box[3] <= level.shape[1] * stride < box[3] + stride


@torch.no_grad()
def test_the_deepest_tap_is_the_last_layer_that_the_base_reads() -> None:
    last, earlier = (BY_NAME[name].build() for name in ("internvl", "internvl earlier-layer"))
    assert isinstance(last, TappedFamily) and isinstance(earlier, TappedFamily)
    assert (last.taps, earlier.taps) == ((0, 1, 2, 4), (0, 1, 2, 3))
    assert layers_read(-1, 24) == 24 and layers_read(-2, 24) == 23 and layers_read(7, 24) == 7
    assert layers_read([-2, 5], 24) == 23


@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_half_precision(case: Case) -> None:
    family = case.build()
    (full,) = family.see([picture(size=(168, 126))])
    family.base.to(torch.bfloat16)
    (half,) = family.see([picture(size=(168, 126))])
    assert half.maps.maps[-1].dtype == torch.bfloat16
    drift = (half.maps.maps[-1].float() - full.maps.maps[-1]).abs().max()
    assert drift < 0.05 * full.maps.maps[-1].abs().max()
    assert logits(family, [list(half.ids)], [half]).isfinite().all()


def test_every_family_here_is_tested() -> None:
    named = {case.name.split()[0] for case in CASES}
    assert named == set(tapped_cases.PIXELS)

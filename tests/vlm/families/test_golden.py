"""What the released VLM-FO1's tower sees, reproduced from recorded values of its tiny twin.

The recordings lie beside the repository, not in it; without them these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from fo1.checkpoints.renaming import released_to_ours
from fo1.vlm.families.qwen2_5_vl import Qwen2_5VL
from vlm.families.harness import Processor, logits, tokenizer

SET = Path(__file__).parents[4] / "shared" / "golden" / "set_b"
MODEL = SET / "VLM-FO1_Qwen2.5-VL-tiny-golden"
pytestmark = pytest.mark.skipif(not SET.is_dir(), reason="the golden recordings are not here")

# Both sides are float32; two attention kernels differ by up to 6e-6.
TOLERANCE = 2e-5
CASES = {
    "c1_s1_od_13boxes": "s1_demo_168x126",
    "c2_s2_count_5boxes": "s2_synth_203x97",
    "p3_s3_long_2301x67": "s3_long_2301x67",
    "p4_s4_tiny_20x15": "s4_tiny_20x15",
}


@pytest.fixture(scope="module")
def family() -> Qwen2_5VL:
    config = json.loads((MODEL / "config.json").read_text())
    other = ("vision_config", "model_type", "torch_dtype")
    base = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={key: value for key, value in config.items() if key not in other},
            vision_config={**config["vision_config"], "model_type": "qwen2_5_vl_vision"},
            tie_word_embeddings=True,
        )
    )
    weights = {}
    for key, value in load_file(MODEL / "model.safetensors").items():
        part, ours = released_to_ours(key)
        if part == "base":
            weights[ours] = value.float()
    missing, unexpected = base.load_state_dict(weights, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    base.tie_weights()
    processor = Processor(AutoImageProcessor.from_pretrained(MODEL, backend="pil"), tokenizer())
    return Qwen2_5VL(base.eval().requires_grad_(False), processor, min_side=28, max_side=2048)


@pytest.mark.parametrize("case", CASES)
def test_the_tower_reads_the_recorded_pixels(family: Qwen2_5VL, case: str) -> None:
    want = load_file(SET / "cases" / f"{case}.safetensors")
    pixels, grid = family._pixels(Image.open(SET / "images" / f"{CASES[case]}.png").convert("RGB"))
    assert grid.flatten().tolist() == want["image_grid_thw"].flatten().tolist()
    torch.testing.assert_close(pixels, want["primary_pixel_values"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("c")])
def test_maps_and_image_tokens_equal_the_recorded_ones(family: Qwen2_5VL, case: str) -> None:
    want = load_file(SET / "cases" / f"{case}.safetensors")
    image = Image.open(SET / "images" / f"{CASES[case]}.png").convert("RGB")
    (sight,) = family.see([image])
    (merged,) = sight.outputs.pooler_output
    torch.testing.assert_close(merged, want["vit_merged.0"], atol=TOLERANCE, rtol=0)
    assert len(sight.maps.maps) == 2
    for level, ours in enumerate(sight.maps.maps):
        torch.testing.assert_close(ours, want[f"vit_level{level}.0"][0], atol=TOLERANCE, rtol=0)
    _, rows, columns = want["image_grid_thw"].flatten().tolist()
    assert sight.maps.frame.image_size == image.size
    assert sight.maps.frame.input_size == (columns * 14, rows * 14)


def test_a_prompt_without_boxes_gets_the_recorded_logits(family: Qwen2_5VL) -> None:
    """Case c4 has no boxes, so its first logits are the base's own."""
    want = load_file(SET / "cases" / "c4_s2_no_boxes.safetensors")
    (sight,) = family.see([Image.open(SET / "images" / "s2_synth_203x97.png").convert("RGB")])
    ids: list[int] = []
    for token in want["input_ids"].flatten().tolist():
        ids += sight.ids[1:-1] if token == -200 else [token]
    first = logits(family, [ids], [sight])[0, -1]
    torch.testing.assert_close(first, want["first_step_logits"].flatten(), atol=TOLERANCE, rtol=0)

"""Every recorded run of the official code, reproduced number by number in float32.

Beside each tolerance stands the largest difference seen, with AVX-512, AVX2 and SSE4 and one or two threads.
That much do kernels for the same float32 products differ.
"""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from fo1.regions.position import box_embedding
from golden.recordings import ORIGINALS, Case, close, has, same

TOLERANCE = {
    "primary_pixel_values": 1e-6,  # 0
    "aux_pixel_values": 1e-6,  # 4.8e-7
    "vit_level": 3e-5,  # 1.8e-5
    "vit_merged": 1e-5,  # 5.2e-6
    "davit": 1e-4,  # 5.3e-5, of values to 15
    "fpn": 3e-5,  # 1.2e-5
    "boxes": 1e-4,  # 6.1e-5, of pixels to 768
    "pooled_primary": 1e-5,  # 3.7e-6
    "pooled_auxiliary": 5e-5,  # 3.2e-5
    "position": 1e-5,  # 1e-6
    "hfre_out": 5e-5,  # 3.2e-5
    "region_tokens": 4e-5,  # 2.2e-5
    "inputs_embeds": 4e-5,  # 2.2e-5
    "first_step_logits": 3e-5,  # 1.1e-5
    "step_top10_values": 3e-5,  # 7.4e-6
}
# A channel's attention logits are sums over 36,864 cells there: float64 itself lies 6e-3 from the recording.
SQUASHED = {
    "davit": 2e-4,  # 1.1e-4; with AVX-512 9.3e-5
    "pooled_auxiliary": 2e-4,  # 9.8e-5
    "hfre_out": 2e-4,  # 9.8e-5
    "region_tokens": 1e-4,  # 6.1e-5
    "inputs_embeds": 1e-4,  # 6.1e-5
}

Tensors = dict[str, Tensor]


def tolerance(case: Case, quantity: str) -> float:
    return (TOLERANCE | SQUASHED if case.aspect == "squash" else TOLERANCE)[quantity]


def check(case: Case, seen: Tensors, want: Tensors, quantity: str, *names: str) -> None:
    for name in names or (quantity,):
        close(seen[name], want, name, tolerance(case, quantity))


@pytest.fixture
def regional(want: Tensors) -> None:
    """Only cases in which regions were encoded."""
    if not has(want, "region_tokens.0"):
        pytest.skip("this case has no regions")


# ---- What both encoders see


def test_pixels(case: Case, seen: Tensors, want: Tensors) -> None:
    same(seen["image_grid_thw"], want, "image_grid_thw")
    check(case, seen, want, "primary_pixel_values")
    check(case, seen, want, "aux_pixel_values")


def test_maps_of_the_vision_tower(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "vit_level", "vit_level0.0", "vit_level1.0")
    assert "vit_level2.0" not in seen
    check(case, seen, want, "vit_merged", "vit_merged.0")


def test_maps_of_the_auxiliary_tower(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "davit", *(f"davit_l{level}.0" for level in range(4)))


def test_levels_of_the_pyramid(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "fpn", *(f"fpn_l{level}.0" for level in range(4)))


# ---- What becomes of the regions


@pytest.mark.usefixtures("regional")
def test_boxes_in_both_frames(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "boxes", "aux_boxes_in.0", "vt_boxes_in.0")


@pytest.mark.usefixtures("regional")
def test_pooled_features(case: Case, seen: Tensors, want: Tensors) -> None:
    primary = torch.cat([want[f"roi_pooled_mean.{level}"] for level in range(1, 5)], dim=1)
    pooled = {"pooled_auxiliary": want["roi_pooled_mean.0"], "pooled_primary": primary}
    for quantity in pooled:
        check(case, seen, pooled, quantity)


@pytest.mark.usefixtures("regional")
def test_box_embedding(case: Case, seen: Tensors, want: Tensors) -> None:
    _, rows, columns = want["image_grid_thw"].flatten().tolist()
    embedded = box_embedding(seen["vt_boxes_in.0"], (columns * 14, rows * 14), seen["hfre_out.0"].shape[1])
    close(embedded, want, "pos_embed.0", tolerance(case, "position"))
    # Where the feature is nothing but its parts, the embedding was added to it.
    added = seen["hfre_out.0"] - torch.cat([seen["pooled_auxiliary"], seen["pooled_primary"]], dim=1)
    close(added, want, "pos_embed.0", tolerance(case, "position"))


@pytest.mark.usefixtures("regional")
def test_fused_features_and_region_tokens(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "hfre_out", "hfre_out.0")
    check(case, seen, want, "region_tokens", "region_tokens.0")


# ---- What the language model reads and writes


def test_the_prompt(seen: Tensors, want: Tensors) -> None:
    same(seen["input_ids"], want, "input_ids")


def test_what_the_language_model_reads(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "inputs_embeds", "inputs_embeds.0")
    same(seen["position_ids.0"], want, "position_ids.0")
    same(seen["rope_deltas.0"], want, "rope_deltas.0")


def test_logits(case: Case, seen: Tensors, want: Tensors) -> None:
    check(case, seen, want, "first_step_logits")
    check(case, seen, want, "step_top10_values")
    same(seen["step_top10_ids"], want, "step_top10_ids")


def test_the_answer(case: Case, seen: Tensors, want: Tensors) -> None:
    same(seen["generated_ids"], want, "generated_ids")
    assert seen["answer"] == case.answer


# ---- That nothing was forgotten


def test_every_recorded_tensor_is_compared(seen: Tensors, want: Tensors) -> None:
    elsewhere = {"pos_embed.0", *(f"roi_pooled_mean.{level}" for level in range(5))}
    names = {key.partition("[")[0] for key in want if not key.endswith("sum_abssum")}
    assert names - elsewhere <= seen.keys()


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the whole recordings are not here")
def test_all_logits(case: Case, seen: Tensors) -> None:
    whole = load_file(ORIGINALS / "set_b" / "cases" / f"{case.name}.safetensors")
    close(seen["first_step_logits"], whole, "first_step_logits", TOLERANCE["first_step_logits"])

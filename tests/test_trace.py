"""What only `trace` decides; that its numbers are the recorded ones is tested in `golden/test_cases.py`."""

from __future__ import annotations

import pytest
import torch

from fo1 import FO1
from fo1.errors import PromptError, RegionError
from fo1.model import RegionModel
from fo1.trace import IMAGE, REGION, marked, trace
from golden.recordings import CASES
from tiny import picture

BOXES = [[5, 5, 40, 40], [90, 70, 40, 20], [-10, 0, 1000, 10]]


def test_a_base_without_eyes_reads_its_image_as_a_region(tiny_model: RegionModel) -> None:
    """Names carry the regions of a dynamic vocabulary, so there is no slot to mark."""
    traced = trace(tiny_model, picture(), BOXES, "What is <region1>?", 4)
    vocabulary = tiny_model.prompts.vocabulary
    ids = traced["input_ids"].tolist()
    assert ids.count(IMAGE) == 1 and REGION not in ids
    assert [i for i in ids if i >= vocabulary.first_region] == [vocabulary.region(i) for i in (0, 1, 2, 1)]
    assert traced["region_tokens"].shape == (3, 32)
    length = traced["position_ids"].shape[-1]
    assert traced["position_ids"].flatten().tolist() == list(range(length))
    assert traced["first_step_logits"].argmax() == traced["generated_ids"][0]
    assert 1 <= len(traced["generated_ids"]) <= 4
    assert {value.dtype for value in traced.values()} <= {torch.float32, torch.int64}


def test_marks(released: FO1) -> None:
    slot = released.model.prompts.vocabulary.region_slot
    assert marked(released.model, [1, 9, 9, 2], [1, 9, 9, 2, 5, slot, 1, 9, 2]) == [
        *(1, IMAGE, 2),
        *(5, REGION),
        *(1, IMAGE, 2),
    ]


def test_it_leaves_no_trace(released: FO1) -> None:
    """Neither hooks nor memory of the last question, nor a change to the boxes."""
    case = CASES["c2_s2_count_5boxes"]
    boxes = [list(box) for box in case.boxes]
    first, again = (trace(released.model, case.picture, boxes, case.question, 3) for _ in range(2))
    assert boxes == case.boxes
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_what_cannot_be_asked_in_one_prompt(released: FO1) -> None:
    case = CASES["c1_s1_od_13boxes"]
    for text in ("", " \n"):
        with pytest.raises(PromptError, match="the text is empty"):
            trace(released.model, case.picture, case.boxes, text)
    with pytest.raises(PromptError, match="101 boxes, but one prompt can hold 100"):
        trace(released.model, case.picture, [[1, 2, 3, 4]] * 101, "hello")
    with pytest.raises(RegionError, match="finite"):
        trace(released.model, case.picture, [[1, 2, float("nan"), 4]], "hello")

"""bfloat16 keeps three digits: what of the tiny released model survives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import fo1
from fo1 import FO1
from fo1.trace import trace
from golden.recordings import CASES, Case

C1, C5 = CASES["c1_s1_od_13boxes"], CASES["c5_s1_100boxes"]


@pytest.fixture(scope="module")
def halved(released_folder: Path) -> FO1:
    return fo1.load(released_folder, device="cpu", dtype="bfloat16")


def rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def test_everything_is_halved(halved: FO1) -> None:
    parts = (halved.model.base, halved.model.auxiliary, halved.model.encoder)
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("case", [C1, C5], ids=lambda case: case.name)
def test_region_tokens_drift_little(released: FO1, halved: FO1, case: Case) -> None:
    exact, rounded = (trace(m.model, case.picture, case.boxes, case.question, 4) for m in (released, halved))
    drift = rounded["region_tokens"] - exact["region_tokens"]
    size = rms(exact["region_tokens"])
    assert 0 < rms(drift) < 0.015 * size  # 0.009 seen
    assert float(drift.abs().max()) < 0.08 * size  # 0.037 seen
    change = rounded["first_step_logits"] - exact["first_step_logits"]
    assert rms(change) < 0.03 * rms(exact["first_step_logits"])  # 0.015 seen
    for name in ("input_ids", "position_ids"):
        assert torch.equal(rounded[name], exact[name])


@pytest.mark.parametrize("beams", [1, 2])
def test_generating(halved: FO1, beams: int) -> None:
    scenes = [halved.look(C1.picture, [[8, 65, 67, 120]]), halved.look(C5.picture, [])]
    answers = halved.ask_many(scenes, [C1.question, "What is <region0>?"], max_new_tokens=4, beams=beams)
    assert all(answers)

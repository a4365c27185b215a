"""The tiny released checkpoint as each recorded run had it, and what it computes for each case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import fo1
from fo1 import FO1
from golden.observe import run
from golden.recordings import CASES, Case, recorded, write_variant

Configured = Callable[[str], FO1]


@pytest.fixture(scope="session")
def configured(released: FO1, released_folder: Path) -> Configured:
    """The model with an `aux_image_aspect_ratio`, loaded once each."""
    models = {"dynamic": released}

    def model(aspect: str) -> FO1:
        if aspect not in models:
            folder = released_folder.with_name(aspect)
            write_variant(released_folder, folder, aspect)
            models[aspect] = fo1.load(folder, device="cpu", dtype="float32")
        return models[aspect]

    return model


@pytest.fixture(scope="session", params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="session")
def want(case: Case) -> dict[str, Tensor]:
    """What was recorded in the case."""
    return recorded(case.name)


@pytest.fixture(scope="session")
def seen(case: Case, want: dict[str, Tensor], configured: Configured) -> dict[str, Tensor]:
    """What our model computes in the case, under the recorded names; `answer` is its text."""
    with torch.inference_mode():
        return run(configured(case.aspect), case, len(want["generated_ids"]))

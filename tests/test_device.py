from __future__ import annotations

import pytest
import torch

from fo1.device import device_of
from fo1.errors import CheckpointError


def test_the_best_there_is_or_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_of("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of(None).type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of(None).type == "cuda"


def test_one_that_cannot_be_used() -> None:
    with pytest.raises(CheckpointError, match="device 'abacus' cannot be used here"):
        device_of("abacus")

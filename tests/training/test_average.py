from __future__ import annotations

import pytest
import torch
from torch import nn

from fo1.training.average import MovingAverage


def test_values_by_hand() -> None:
    """0.9 is kept at most; at steps 1 and 2, 2/11 and 3/12."""
    weight = nn.Parameter(torch.tensor([0.0, 10.0]))
    average = MovingAverage({"w": weight}, 0.9)
    kept = [0.0, 10.0]
    for step, value in enumerate(([11.0, 10.0], [20.0, 0.0]), 1):
        weight.data = torch.tensor(value)
        average.update(step)
        decay = {1: 2 / 11, 2: 3 / 12}[step]
        kept = [decay * k + (1 - decay) * v for k, v in zip(kept, value, strict=True)]
        assert average.kept["w"].tolist() == pytest.approx(kept)
    assert kept == pytest.approx([17.25, 2.5])
    average.update(1000)
    assert average.kept["w"].tolist() == pytest.approx([0.9 * 17.25 + 2.0, 0.9 * 2.5])


def test_in_place_the_model_has_the_average_and_then_its_own_again() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    average = MovingAverage({"w": weight}, 0.5)
    weight.data += 1
    for _ in range(2):
        with pytest.raises(KeyError), average.in_place():
            assert weight.tolist() == [1, 2]
            raise KeyError
        assert weight.tolist() == [2, 3] and average.kept["w"].tolist() == [1, 2]
    assert weight.requires_grad and not average.kept["w"].requires_grad

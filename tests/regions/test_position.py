from __future__ import annotations

import math

import pytest
import torch

from fo1.regions.position import box_embedding


def test_quarters_are_centre_y_centre_x_width_height() -> None:
    box = torch.tensor([[10.0, 40.0, 30.0, 60.0]])
    embedded = box_embedding(box, (80.0, 200.0), 32)[0].reshape(4, 8)
    for quarter, value in zip(embedded, (50 / 200, 20 / 80, 20 / 80, 20 / 200), strict=True):
        for i in range(4):
            angle = value * 2 * math.pi / 10000 ** (2 * i / 8)
            assert quarter[2 * i : 2 * i + 2].tolist() == pytest.approx(
                [math.sin(angle), math.cos(angle)], abs=1e-6
            )


def test_depends_only_on_fractions_of_the_frame() -> None:
    box = torch.tensor([[10.0, 40.0, 30.0, 60.0]])
    small = box_embedding(box, (80.0, 200.0), 64)
    torch.testing.assert_close(small, box_embedding(box * 3, (240.0, 600.0), 64))


def test_no_boxes_and_widths() -> None:
    assert box_embedding(torch.zeros(0, 4), (1.0, 1.0), 16).shape == (0, 16)
    with pytest.raises(ValueError, match="at least 8, got 7"):
        box_embedding(torch.zeros(1, 4), (1.0, 1.0), 7)


def test_what_is_over_a_multiple_of_eight_stays_zero() -> None:
    box = torch.tensor([[3.0, 4.0, 50.0, 60.0]])
    odd = box_embedding(box, (80.0, 200.0), 21)
    assert odd.shape == (1, 21) and (odd[:, 16:] == 0).all()
    assert torch.equal(odd[:, :16], box_embedding(box, (80.0, 200.0), 16))

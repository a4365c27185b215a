from __future__ import annotations

import pytest
import torch

from fo1.encoders.feature_maps import FeatureMaps, Frame


def test_boxes_are_scaled_and_clamped_to_the_image() -> None:
    frame = Frame((100, 50), (200, 150))
    boxes = torch.tensor([[-5.0, 10.0, 50.0, 70.0]])
    assert frame.boxes_in(boxes).tolist() == [[0, 30, 100, 150]]


def test_boxes_begin_where_the_padding_ends() -> None:
    frame = Frame((100, 50), (200, 150), (3.0, 0.5))
    boxes = torch.tensor([[-5.0, 10.0, 50.0, 70.0]])
    assert frame.boxes_in(boxes).tolist() == [[3, 30.5, 103, 150.5]]


def test_every_map_has_a_stride() -> None:
    with pytest.raises(ValueError, match="1 maps but 2 strides"):
        FeatureMaps((torch.zeros(1, 2, 2),), (4.0, 8.0), Frame((8, 8), (8, 8)))

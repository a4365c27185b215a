"""A very long and a very small image, as both encoders read them."""

from __future__ import annotations

import pytest
import torch

from fo1 import FO1
from golden.observe import observed
from golden.recordings import close, picture, recorded, same

# Boxes in the recorded runs, in pixels of the image.
LONG, TINY = "p3_s3_long_2301x67", "p4_s4_tiny_20x15"
LONG_BOXES = [[0, 0, 2301, 67], [100.5, 10, 900.25, 60], [2200, -3, 2400, 80]]
TINY_BOXES = [[0, 0, 20, 15], [5, 5, 10, 10], [0, 0, 28, 28]]


@pytest.mark.parametrize("name", [LONG, TINY])
def test_pixels(released: FO1, name: str) -> None:
    want = recorded(name)
    with observed(released.model) as observer:
        released.look(picture(name.partition("_")[2]), [])
    same(observer.seen["image_grid_thw"], want, "image_grid_thw")
    close(observer.seen["primary_pixel_values"], want, "primary_pixel_values", 1e-6)  # 0 seen
    close(observer.seen["aux_pixel_values"], want, "aux_pixel_values", 1e-6)  # 4.8e-7 seen


def test_boxes_shrink_with_a_long_image(released: FO1) -> None:
    """Recorded are boxes in the shrunk image, 2048 × 59, which is the auxiliary encoder's frame."""
    with observed(released.model) as observer:
        released.look(picture("s3_long_2301x67"), LONG_BOXES)
    close(observer.seen["aux_boxes_in.0"], recorded(LONG), "bbox_list", 1e-3)  # 1.2e-4 seen, of 2048


def test_boxes_stretch_with_a_small_image(released: FO1) -> None:
    """Recorded boxes stayed where they were while 20 × 15 became 28 × 28. That is a defect; ours follow."""
    with observed(released.model) as observer:
        released.look(picture("s4_tiny_20x15"), TINY_BOXES)
    stretched = torch.tensor([[0, 0, 28, 28], [7, 28 / 3, 14, 56 / 3], [0, 0, 28, 28]])
    torch.testing.assert_close(observer.seen["aux_boxes_in.0"], stretched)

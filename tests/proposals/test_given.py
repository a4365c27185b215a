from __future__ import annotations

import pytest

from fo1.errors import RegionError
from fo1.proposals.given import GivenBoxes
from fo1.types import Regions
from tiny import picture, region_model

IMAGES = [picture(0), picture(1, (30, 90))]


def test_boxes_belong_to_images_in_order() -> None:
    marked = Regions.of([[3, 4, 5, 6]], (30, 90), [0.4], ["cup"])
    first, second = GivenBoxes([[[0, 0, 9, 9], [-5, 0, 500, 9]], marked]).propose(IMAGES)
    assert first.xyxy.tolist() == [[0, 0, 9, 9], [-5, 0, 500, 9]] and first.image_size == (80, 60)
    assert second is marked


def test_an_image_without_boxes() -> None:
    first, second = GivenBoxes([[], [[1, 2, 3, 4]]]).propose(IMAGES)
    assert (len(first), len(second)) == (0, 1)
    assert GivenBoxes([]).propose([]) == []


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[[0, 0, 9, 9]]], "given for 1 images, but there are 2"),
        ([[], Regions.empty((80, 60))], "image 1 are of a 80×60 image, but it is 30×90"),
        ([[], [[0, 0, float("nan"), 9]]], "must be finite"),
        ([[], [[0, 0, 9]]], "must have shape"),
    ],
)
def test_boxes_of_other_images(boxes: list, message: str) -> None:
    with pytest.raises(RegionError, match=message):
        GivenBoxes(boxes).propose(IMAGES)


def test_a_model_takes_it_for_its_proposer() -> None:
    model = region_model(proposer=GivenBoxes([[[0, 0, 9, 9]], []]))
    assert [len(one.regions) for one in model.encode(IMAGES, [None, None])] == [1, 0]

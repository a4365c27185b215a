"""Proposals that are known beforehand: drawn by a person, or made by another program."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike
from PIL import Image

from fo1.errors import RegionError
from fo1.types import Regions


class GivenBoxes:
    """A `Proposer` that hands out what it was given: the n-th entry is for the n-th image it is shown.

    boxes: one entry per image, `Regions` or plain (N, 4) xyxy boxes, in pixels of that image. All are kept in
    their order, so that region n is box n; for fewer, pass them through a `Selection` first.
    """

    def __init__(self, boxes: Sequence[ArrayLike | Regions]) -> None:
        self.boxes = list(boxes)

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """The boxes of each image. Raises `RegionError` if they are for other images, by count or size."""
        if len(images) != len(self.boxes):
            raise RegionError(f"boxes are given for {len(self.boxes)} images, but there are {len(images)}")
        pairs = zip(self.boxes, images, strict=True)
        return [_of(boxes, image.size, number) for number, (boxes, image) in enumerate(pairs)]


def _of(boxes: ArrayLike | Regions, size: tuple[int, int], number: int) -> Regions:
    if not isinstance(boxes, Regions):
        return Regions.of(boxes, size)
    if boxes.image_size != size:
        given, shown = ("{}×{}".format(*s) for s in (boxes.image_size, size))
        raise RegionError(f"the boxes given for image {number} are of a {given} image, but it is {shown}")
    return boxes

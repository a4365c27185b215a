"""Masks in the rows of a ledger: region → run lengths, as `fo1.masks.Mask` has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fo1.detections import Detections
from fo1.labeling.ledger import Row
from fo1.masks import Mask
from fo1.outlined import Outlined

if TYPE_CHECKING:
    from fo1.labeling.pipeline import Ask, Picture
    from fo1.segmenting import Segmenter

MASKED = 0.2
"""Things that score less get no mask, unless the model's own threshold is lower."""


def masked(ask: Ask, segmenter: Segmenter, readings: Sequence[Callable[[Row], Detections]]) -> Ask:
    """As `ask`, with the `masks` of all regions that a reading of the row finds."""

    def asked(pictures: Sequence[Picture]) -> list[Row]:
        rows = ask(pictures)
        for picture, row in zip(pictures, rows, strict=True):
            assert picture.image is not None
            things = {thing.region: thing for reading in readings for thing in reading(row)}
            masks = segmenter(picture.image, Detections.of(things.values(), picture.image.size))
            row["masks"] = {str(region): mask.counts for region, mask in zip(things, masks, strict=True)}
        return rows

    return asked


def outlined(row: Row, found: Detections) -> Outlined:
    """With the masks that the row has; a thing without one is its box."""
    counts = (row["masks"].get(str(region), ()) for region in found.regions.tolist())
    return Outlined(found, tuple(Mask(found.image_size, tuple(one) or _none(found)) for one in counts))


def _none(found: Detections) -> tuple[int, ...]:
    return (found.image_size[0] * found.image_size[1],)

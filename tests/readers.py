"""Tiny models of every family and vocabulary, with two images they have looked at."""

from __future__ import annotations

from PIL import Image

import fo1
from attachable import CASES, NAMES, attached
from fo1.model import Encoded, RegionModel
from tiny import read_as, region_model

KINDS = ("dynamic", "static", *NAMES)
QUESTIONS = ("what?", "where is <region1>? And what else is in the picture?", "how many")


def reader(kind: str) -> tuple[RegionModel, list[Encoded]]:
    """A model without eyes, of either vocabulary, or one of a family; images with two and three regions."""
    if kind in ("dynamic", "static"):
        return region_model(dynamic=kind == "dynamic"), [read_as(2, 0), read_as(3, 1)]
    model = attached(CASES[kind].build(), vocabulary="static").model
    images = [Image.effect_noise((90, 70), 90).convert("RGB"), Image.new("RGB", (64, 80), (90, 0, 0))]
    boxes = [[[5, 5, 60, 60], [20, 20, 64, 64]], [[1, 2, 50, 60], [9, 9, 30, 30], [0, 0, 64, 80]]]
    given = [fo1.Regions.of(box, image.size) for box, image in zip(boxes, images, strict=True)]
    return model, model.encode(images, given)

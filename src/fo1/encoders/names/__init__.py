"""Readable names of the classes that the encoders were trained on."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def _names(file: str) -> tuple[str, ...]:
    return tuple(json.loads(files(__name__).joinpath(file).read_text(encoding="utf-8")))


def coco() -> tuple[str, ...]:
    """The 80 COCO classes, in the order of NanoDet's class maps."""
    return _names("coco.json")


def imagenet() -> tuple[str, ...]:
    """The 1000 ImageNet classes in the order of EfficientNet's logits, each as one short common name."""
    return _names("imagenet.json")

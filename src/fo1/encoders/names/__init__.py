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


@cache
def everyday() -> tuple[tuple[str, int], ...]:
    """Everyday words for classes, each with a class it fits, COCO's classes counted first, then ImageNet's.

    ("dog", 231) says that a dog is what ImageNet's class 151 shows.
    """
    table = json.loads(files(__name__).joinpath("everyday.json").read_text(encoding="utf-8"))
    known = coco()
    pairs = [(word, known.index(name)) for word, name in table["coco"].items()]
    for word, ranges in table["imagenet"].items():
        for span in ranges.split():
            first, _, last = span.partition("-")
            pairs += [(word, len(known) + i) for i in range(int(first), int(last or first) + 1)]
    return tuple(pairs)


def known() -> tuple[str, ...]:
    """All of these names and words."""
    return (*coco(), *imagenet(), *(word for word, _ in everyday()))


def imagenet() -> tuple[str, ...]:
    """The 1000 ImageNet classes in the order of EfficientNet's logits, each as one short common name."""
    return _names("imagenet.json")

"""Phrases that tell apart things of one name by place or size: "the left cup"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fo1.boxes import area
from fo1.types import FloatArray

CLEAR_PLACE = 0.05  # of the image's side, between the middles of the first two
CLEAR_SIZE = 0.2  # of the area, between the first two

_SIZES = ("biggest", "smallest")
WORDS = ("left", "right", "top", "bottom", *_SIZES)


class Referral(NamedTuple):
    """A phrase and the one box (4,) it means, xyxy pixels."""

    phrase: str
    box: FloatArray


def referrals(
    things: Mapping[str, FloatArray], size: tuple[int, int], rng: np.random.Generator
) -> tuple[Referral, ...]:
    """A phrase for each name of several things: a word of place or size fits one of them clearly best.

    things: name → (G, 4) xyxy pixels, all there are of it in an image of (width, height).
    """
    found = []
    for name, boxes in things.items():
        order = rng.permutation(len(WORDS))
        for word in (WORDS[i] for i in order if len(boxes) > 1):
            measure = _measure(word, boxes, size)
            second, best = np.sort(measure)[-2:]
            if best - second > (CLEAR_SIZE * abs(best) if word in _SIZES else CLEAR_PLACE):
                found.append(Referral(f"the {word} {name}", boxes[int(measure.argmax())]))
                break
    return tuple(found)


def _measure(word: str, boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """How well the word fits each box (G,); places as shares of the image's side."""
    if word in _SIZES:
        return area(boxes) if word == "biggest" else -area(boxes)
    axis = 0 if word in ("left", "right") else 1
    middle: FloatArray = boxes[:, [axis, axis + 2]].mean(axis=1) / size[axis]
    return -middle if word in ("left", "top") else middle

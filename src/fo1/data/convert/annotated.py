"""`Annotated`: what a data set says about one image, whichever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fo1.data.record import Dialogue, ImageRef
from fo1.types import FloatArray


class Expression(NamedTuple):
    """A phrase and the boxes it means, by number."""

    phrase: str
    boxes: tuple[int, ...]


class Span(NamedTuple):
    """Characters `start` to `end` of a caption, and the boxes they mean."""

    start: int
    end: int
    boxes: tuple[int, ...]


class Caption(NamedTuple):
    """A sentence about the image. spans: ascending, not overlapping."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class Annotated:
    """One image as annotated. All that is per box has as many entries as there are boxes, or is empty.

    boxes: (N, 4) float32, pixels of the original image, x1 y1 x2 y2; every one has an area.
    labels: category of each; None where unknown.
    captions, texts: what each box shows in words, and what is written in it; None where unknown.
    scores: of proposals; empty if people drew the boxes.
    ignored: label and box (x1 y1 x2 y2) of crowds and of what was too hard to annotate; never a target, and
        never a region: a model must not learn either that it is or that it is not what its label says.
    partial: labels of which some objects may have no box; they can be named, but not counted or listed.
    exhaustive: False if that holds for every label.
    absent: labels known not to be in the image. federated: nothing is known of the labels that neither it nor
        a box names, as in LVIS; else they are not there, as far as the data set goes.
    expressions, image_captions, talks: phrases for boxes, sentences about the image, whole conversations.
    """

    image: ImageRef
    boxes: FloatArray = field(default_factory=lambda: np.zeros((0, 4), dtype=np.float32))
    labels: tuple[str | None, ...] = ()
    captions: tuple[str | None, ...] = ()
    texts: tuple[str | None, ...] = ()
    scores: tuple[float, ...] = ()
    ignored: tuple[tuple[str, tuple[float, ...]], ...] = ()
    partial: frozenset[str] = frozenset()
    exhaustive: bool = True
    absent: tuple[str, ...] = ()
    federated: bool = False
    expressions: tuple[Expression, ...] = ()
    image_captions: tuple[Caption, ...] = ()
    talks: tuple[Dialogue, ...] = ()
    id: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def by_label(self) -> dict[str, list[int]]:
        """The boxes of each label, ascending; labels in order of first appearance."""
        groups: dict[str, list[int]] = {}
        for number, label in enumerate(self.labels):
            if label is not None:
                groups.setdefault(label, []).append(number)
        return groups

    def is_complete(self, label: str) -> bool:
        """Whether every object of this label in the image has a box of its own."""
        return (
            self.exhaustive and label not in self.partial and all(name != label for name, _ in self.ignored)
        )

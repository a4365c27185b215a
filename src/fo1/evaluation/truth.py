"""`BoxTruth`: the things a benchmark says are on one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import area
from fo1.types import FloatArray


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """True boxes of one image, G of them, and the labels that an answer is judged by.

    xyxy: (G, 4) pixels. names: G labels.
    labels: those judged on this image, the things' own among them: a box found for one of them that fits no
        true box is an error, a box found for another label counts neither way (LVIS's federated images).
    areas: (G,) for COCO's size classes; boxes' own by default, COCO has those of the outlines.
    crowd: (G,) bool: a group no box must find; whoever finds something in it is not wrong.
    partial: labels of which not all things are marked; errors on them are not counted (LVIS).
    """

    xyxy: FloatArray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    areas: FloatArray
    crowd: NDArray[np.bool_]
    partial: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        names: Sequence[str],
        labels: Sequence[str] = (),
        areas: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
        partial: Sequence[str] = (),
    ) -> BoxTruth:
        """labels: the names of what is there are added."""
        xyxy = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        return cls(
            xyxy,
            tuple(names),
            tuple(dict.fromkeys([*labels, *names])),
            area(xyxy) if areas is None else np.asarray(areas, dtype=np.float32),
            np.zeros(len(xyxy), dtype=bool) if crowd is None else np.asarray(crowd, dtype=bool),
            frozenset(partial),
        )

    @classmethod
    def by_label(cls, boxes: Mapping[str, ArrayLike], absent: Sequence[str] = ()) -> BoxTruth:
        """From label → (G, 4) boxes, and labels that are not there."""
        rows = [(name, box) for name, group in boxes.items() for box in np.reshape(group, (-1, 4))]
        return cls.of([box for _, box in rows], [name for name, _ in rows], [*boxes, *absent])

    def rows(self, label: str) -> NDArray[np.int64]:
        """Which boxes are of this label."""
        return np.flatnonzero([name == label for name in self.names])

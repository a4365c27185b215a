"""Which found boxes are right: COCO's matching of one label on one image, and how right a whole answer is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import area, claims, intersection, iou
from fo1.evaluation.benchmark import Prediction
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray


@dataclass(frozen=True, eq=False)
class Matched:
    """One label on one image: P found boxes, best first, and the true ones of that label.

    found: (P,) the true box (row of the `BoxTruth`) that each is, -1 for none. counts: (P,) bool, false for
    boxes that are neither right nor wrong: inside a crowd, or of a label not all of whose things are marked.
    """

    found: NDArray[np.int64]
    counts: NDArray[np.bool_]

    @property
    def hits(self) -> NDArray[np.bool_]:
        return self.found >= 0


def match(boxes: FloatArray, truth: BoxTruth, label: str, threshold: float = 0.5) -> Matched:
    """Each found box, best first, takes the free true box of its label that it overlaps most.

    boxes: (P, 4) best first. threshold: least IoU; in a crowd, least share of the found box inside it.
    """
    rows = truth.rows(label)
    things, crowds = rows[~truth.crowd[rows]], rows[truth.crowd[rows]]
    taken = claims(iou(boxes, truth.xyxy[things]), threshold)
    found = np.append(things, -1)[taken]
    inside = intersection(boxes, truth.xyxy[crowds]) / np.maximum(area(boxes)[:, None], 1e-9)
    forgiven = (inside >= threshold).any(axis=1) | (label in truth.partial)
    return Matched(found, (found >= 0) | ~forgiven)


def f1(prediction: Prediction | None, truth: BoxTruth, threshold: float = 0.5) -> float:
    """Of the boxes the model reports for the labels that are judged; 1 if nothing is there and none is named.

    A failed prediction scores 0.
    """
    if prediction is None:
        return 0.0
    answer = Grounded.of_json(prediction)
    hits = reported = 0
    for label in truth.labels:
        matched = match(answer.reported(label)[0], truth, label, threshold)
        hits += int(matched.hits.sum())
        reported += int(matched.counts.sum())
    total = reported + int((~truth.crowd).sum())
    return 2 * hits / total if total else 1.0

"""Why a thing was missed, and what a wrong box shows: what is to be mended first.

Overlaps are split as by TIDE (Bolya et al. 2020): from IoU 0.5 a box is the thing, below 0.1 not about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import iou
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import match
from fo1.evaluation.truth import BoxTruth

IS, ABOUT = 0.5, 0.1


class Miss(str, Enum):
    """Why a true thing was not found, the first that holds."""

    unproposed = "no proposal"
    unsure = "scored too low"
    merged = "merged away"  # as a duplicate of another region, or its box was taken for another thing


class Fault(str, Enum):
    """What a wrong box shows, the first that holds."""

    loose = "loose or partial"  # of a thing of the label
    again = "found before"
    other = "another thing"  # of those whose labels were asked
    near = "about another"  # loosely, or a part of it
    nothing = "background"


class Missed(NamedTuple):
    """thing: row of the `BoxTruth`. region: of those that cover it, the one that scored best; -1 for none."""

    thing: int
    why: Miss
    region: int


class Faulty(NamedTuple):
    """A region that was reported for a label, and is no thing of it."""

    label: str
    region: int
    why: Fault


def missed(answer: Grounded, truth: BoxTruth, threshold: float) -> Iterator[Missed]:
    """Every thing of the asked labels that no reported box is. threshold: least score of a reported box."""
    for label in truth.labels:
        found = match(answer.reported(label)[0], truth, label).found
        scores = answer.scores.get(label, np.zeros(len(answer.xyxy), np.float32))
        for thing in truth.rows(label):
            if thing in found or truth.crowd[thing]:
                continue
            covering = np.flatnonzero(iou(answer.xyxy, truth.xyxy[[thing]])[:, 0] >= IS)
            if not len(covering):
                yield Missed(int(thing), Miss.unproposed, -1)
                continue
            best = int(covering[scores[covering].argmax()])
            yield Missed(int(thing), Miss.unsure if scores[best] < threshold else Miss.merged, best)


def faults(answer: Grounded, truth: BoxTruth) -> Iterator[Faulty]:
    """Every reported box that is wrong; for an absent label that is each of its boxes."""
    for label in truth.labels:
        boxes, _ = answer.reported(label)
        matched = match(boxes, truth, label)
        own = np.isin(np.arange(len(truth.xyxy)), truth.rows(label))
        for row in np.flatnonzero(~matched.hits & matched.counts):
            overlaps = iou(boxes[[row]], truth.xyxy)[0]
            yield Faulty(label, answer.named[label][row], _fault(overlaps[own], overlaps[~own]))


def _fault(own: NDArray[np.float32], other: NDArray[np.float32]) -> Fault:
    """From a box's overlaps with the things of its label, and with all others."""
    mine, theirs = own.max(initial=0.0), other.max(initial=0.0)
    if mine >= IS:
        return Fault.again
    if mine >= ABOUT:
        return Fault.loose
    if theirs >= IS:
        return Fault.other
    return Fault.near if theirs >= ABOUT else Fault.nothing

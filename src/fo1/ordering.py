"""`meant`: which of several things a phrase means, from where they are and how big."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import area
from fo1.duplicates import Duplicates
from fo1.prompts.referring import Order, Reference, Relation
from fo1.types import FloatArray, Regions

SURE = 3.0  # logit that the best region has at least, once a phrase takes it for granted that there is one
BESIDE = 0.03  # share of the image's longer side within which one thing is not clearly left of another
NEAR = 0.3  # the like share over which a thing next to another is a third as likely
FAR = 1.0  # and one left of, above, … it


def meant(regions: Regions, scores: FloatArray, reference: Reference) -> FloatArray:
    """The chance that each region is the one thing that is meant, (N,) float32.

    scores: (1, N) or (2, N), the chance that a region is what the thing, and what the other, is called.
    Read in the reference's order, the first thing is the first region that is one: its own chance, times
    that of none before it. The second has exactly one before it, and so on. All of it as far as there is such
    a thing at all, which is as sure as the best region. Regions that show a thing once more have no chance.
    """
    chances = np.zeros(len(regions), np.float32)
    if not len(regions):
        return chances
    best = scores.max(axis=1)
    rule = Duplicates()
    kept, _ = rule.merge(regions.xyxy, scores[0])
    own = _taken_for_granted(scores[0, kept])
    if reference.relation is not None:
        others, _ = rule.merge(regions.xyxy, scores[1])
        boxes = regions.xyxy[kept], regions.xyxy[others]
        near = _related(*boxes, regions.image_size, reference.relation)
        near[rule.same(*boxes)] = 0.0  # nothing is beside itself
        own = own * (near * _taken_for_granted(scores[1, others])).max(axis=1)
    if reference.orders:
        order = _order(regions.xyxy[kept], own, regions.image_size, reference.orders)
        own[order] = _ranked(own[order], reference.rank)
    chances[kept] = best.min() * own
    return chances


def _ranked(own: FloatArray, rank: int) -> FloatArray:
    """The chance that each of a row is one and has exactly rank - 1 such before it, (K,)."""
    before = np.zeros(rank)  # the chance that 0, 1, 2, … came so far
    before[0] = 1.0
    chances = np.zeros_like(own)
    for place, chance in enumerate(own):
        chances[place] = chance * before[-1]
        before = chance * np.concatenate([[0.0], before[:-1]]) + (1 - chance) * before
    return chances


def _taken_for_granted(scores: FloatArray) -> FloatArray:
    """The same odds against each other, with the best at least `SURE`."""
    within = scores.clip(1e-6, 1 - 1e-6)
    logits = np.log(within / (1 - within))
    likely: FloatArray = 1 / (1 + np.exp(-logits - max(0.0, SURE - float(logits.max()))))
    return likely


def _order(
    boxes: FloatArray, chances: FloatArray, size: tuple[int, int], orders: Sequence[Order]
) -> NDArray[np.int64]:
    """Which box comes first, second, …, (K,); in shares of the image's sides, so that orders add up."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / np.asarray(size)
    x, y = centres.T
    away = np.abs(centres - np.average(centres, axis=0, weights=chances)).max(axis=1)
    big = np.sqrt(area(boxes) / (size[0] * size[1]))
    late = {"left": x, "right": -x, "top": y, "bottom": -y, "middle": away, "biggest": -big, "smallest": big}
    return np.argsort(np.sum([late[order] for order in orders], axis=0), kind="stable")


def _related(boxes: FloatArray, others: FloatArray, size: tuple[int, int], relation: Relation) -> FloatArray:
    """How well it can be said that a box is left of, …, another, (K, M) to 1."""
    scale = np.float32(1 / max(size))
    mine, theirs = boxes * scale, others * scale
    gap = np.maximum(mine[:, None, :2] - theirs[:, 2:], theirs[:, :2] - mine[:, None, 2:]).clip(min=0)
    away = np.hypot(gap[..., 0], gap[..., 1])
    if relation == "near":
        return np.exp(-away / NEAR).astype(np.float32)
    ahead = np.subtract.outer(_place(mine, relation), _place(theirs, relation))
    return (np.exp(-away / FAR) / (1 + np.exp(-ahead / BESIDE))).astype(np.float32)


def _place(boxes: FloatArray, relation: Relation) -> FloatArray:
    """How far to the left, … each box is, (K,). What stands behind another stands higher in the picture."""
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    ground = boxes[:, 3]
    places = {"left": -x, "right": x, "above": -y, "below": y, "behind": -ground, "before": ground}
    place: FloatArray = places[relation]
    return place

"""`Duplicates`: when several regions of one label show the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import area, intersection, iou

SUREST = 1e-6  # chances are taken to be at least so far from 0 and 1


@dataclass(frozen=True)
class Duplicates:
    """A region goes if a better one overlaps it, or covers it; short of that it loses part of its lead.

    iou: overlap, cover: share of the smaller of two regions, above which they are the same thing.
    fading: below that, fading times the cover times the better one's lead, in log-odds, is taken from the
    worse one, so that a fragment beside a good box must be about as sure as that. 0 leaves scores as they
    are. (After Soft-NMS, Bodla et al. 2017. Log-odds, so that a temperature changes nothing about it.)
    """

    iou: float = 0.5
    cover: float = 0.5
    fading: float = 2.0

    def merge(
        self, boxes: ArrayLike, scores: ArrayLike, least: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which regions stay, best first, and their scores, faded if need be; of equals the earlier stays.

        boxes: (N, 4) xyxy; those without area neither cover nor are covered. scores: (N,) chances. least:
        score below which a region goes. Those above a threshold are the same, whether merged at it or at any
        score.
        """
        b = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        own, faded = _log_odds(scores), np.array(scores, dtype=np.float32)
        sizes, left, kept = area(b), np.flatnonzero(faded >= least), list[int]()
        loss = np.zeros_like(own)
        while left.size:
            best = left[faded[left].argmax()]
            if faded[best] < least:
                break
            kept.append(int(best))
            left = left[left != best]
            shared = intersection(b[best], b[left])[0]
            smaller, union = np.minimum(sizes[best], sizes[left]), sizes[best] + sizes[left] - shared
            covered = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
            lead = own[best] - loss[best] - own[left]
            loss[left] = np.maximum(loss[left], self.fading * covered * lead)
            lost = left[loss[left] > 0]
            faded[lost] = 1 / (1 + np.exp(loss[lost] - own[lost]))
            left = left[(covered <= self.cover) & (shared <= self.iou * union)]
        return np.array(kept, dtype=np.int64), faded[kept]

    def same(self, boxes: ArrayLike, others: ArrayLike) -> NDArray[np.bool_]:
        """Which pairs are one thing, (len(boxes), len(others)). Boxes are (N, 4) xyxy."""
        smaller = np.minimum(area(boxes)[:, None], area(others))
        return (iou(boxes, others) > self.iou) | (intersection(boxes, others) > self.cover * smaller)


def _log_odds(scores: ArrayLike) -> NDArray[np.float64]:
    within = np.asarray(scores, dtype=np.float64).clip(SUREST, 1 - SUREST)
    odds: NDArray[np.float64] = np.log(within / (1 - within))
    return odds

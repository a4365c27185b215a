"""`Calibration`: is a box of confidence 0.8 right eight times in ten?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
LEAST = 0.05  # the many boxes that nobody would report would hide how the others are calibrated


@dataclass(frozen=True, eq=False)
class Calibration:
    """Boxes in bins of equal width by confidence, those below `LEAST` left out.

    count, confidence, right: (BINS,) how many boxes, their mean confidence, the share that is right; NaN for
    an empty bin.
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def of(cls, scores: Sequence[float], hits: Sequence[bool]) -> Calibration:
        """scores: confidence of each box, 0 to 1. hits: is it right?"""
        values, right = np.asarray(scores, dtype=np.float64), np.asarray(hits, dtype=np.float64)
        kept = values >= LEAST
        values, right = values[kept], right[kept]
        places = np.minimum((values * BINS).astype(np.int64), BINS - 1)
        count = np.bincount(places, minlength=BINS)
        with np.errstate(invalid="ignore"):
            means = [np.bincount(places, weights, minlength=BINS) / count for weights in (values, right)]
        return cls(count, *means)

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence and truth over boxes; NaN without boxes."""
        if not self.count.sum():
            return float("nan")
        return float(np.nansum(self.count * abs(self.confidence - self.right)) / self.count.sum())

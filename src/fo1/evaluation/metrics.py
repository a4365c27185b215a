"""Figures of small sets: shares and rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ranking(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative; ties count half.

    NaN if there are none of either.
    """
    if not positive or not negative:
        return float("nan")
    low = np.sort(np.asarray(negative, dtype=np.float64))
    values = np.asarray(positive, dtype=np.float64)
    below = np.searchsorted(low, values, side="left")
    not_above = np.searchsorted(low, values, side="right")
    return float((below + not_above).mean() / 2 / len(low))


def share(part: float, whole: float) -> float:
    """part / whole, 0 of nothing."""
    return part / whole if whole else 0.0

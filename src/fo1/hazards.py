"""Confidence in every region, read off the steps at which a model wrote one list of regions.

Lists ascend, so writing one is a walk: at each step the model names a region, and thereby passes over those
before it, or stops. How likely region i was to be named when its turn came is its hazard,
p(i) / (p(i) + p(all later) + p(stop)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def hazards(steps: ArrayLike, named: Sequence[int], temperature: float = 1.0) -> NDArray[np.float32]:
    """The hazard of each of N regions, named, passed over or left when the list ended.

    steps: (len(named) + 1, N + 1) logits before each token of the list, of its regions in order and, in the
        last column, of stopping. named: the regions that were written, each once. One out of order has its
        hazard from the step at which it was written, if that is higher. temperature: divides log-odds.
    """
    scores = np.array(steps, dtype=np.float64)
    found = np.zeros(scores.shape[1] - 1)
    turn = 0  # regions before this one have had theirs
    for step, row in enumerate(scores):
        chances = _chances(row, temperature)
        end = named[step] + 1 if step < len(named) else len(found)
        found[turn:end] = chances[turn:end]
        if step < len(named):
            written = named[step]
            found[written] = max(found[written], chances[written])
            scores[step + 1 :, written] = -np.inf  # it cannot come again
            turn = max(turn, end)
    return found.astype(np.float32)


def absence(first: ArrayLike, temperature: float = 1.0) -> float:
    """The chance that a list ends before it names anything: that no region is named when its turn comes.

    first: (N + 1,) logits of its first step. temperature: as for `hazards`; at 1 this is p(stop).
    """
    return float(np.prod(1 - _chances(np.asarray(first, dtype=np.float64), temperature)))


def _chances(row: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Each region's hazard (N,) if its turn came at this step, of (N + 1,) logits."""
    later = np.logaddexp.accumulate(row[::-1])[::-1][1:]
    return np.exp(-np.logaddexp(0, (later - row[:-1]) / temperature))

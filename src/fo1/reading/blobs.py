"""`blobs`: the connected parts of a map that lie above a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Blobs:
    """N parts, by their first pixel from the top.

    xyxy: (N, 4), pixels of the map, the last one outside. areas: (N,) pixels. means: (N,) of the values.
    """

    xyxy: NDArray[np.float64]
    areas: NDArray[np.float64]
    means: NDArray[np.float64]


def blobs(values: NDArray[np.float32], threshold: float) -> Blobs:
    """The parts of a map (H, W) above the threshold; pixels that touch at a corner are connected."""
    height, width = values.shape
    stride = width + 2  # a pixel outside on either side keeps rows apart
    inside = np.zeros((height, stride), dtype=np.int8)
    inside[:, 1:-1] = values > threshold
    edges = np.diff(inside.reshape(-1))
    # A run is the pixels from `starts` to before `ends` of one row, numbered through all rows.
    starts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
    of = _joined(starts, ends, stride)
    count = int(of.max()) + 1 if of.size else 0
    rows, lefts = np.divmod(starts, stride)
    xyxy = np.zeros((count, 4))
    xyxy[:, :2] = np.inf
    for column, function, found in (
        (0, np.minimum, lefts - 1),
        (1, np.minimum, rows),
        (2, np.maximum, ends % stride - 1),
        (3, np.maximum, rows + 1),
    ):
        function.at(xyxy[:, column], of, found)
    padded = np.zeros((height, stride))
    padded[:, 1:-1] = values
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    areas = np.bincount(of, ends - starts, count).astype(np.float64)
    return Blobs(xyxy, areas, np.bincount(of, sums[ends] - sums[starts], count) / np.maximum(areas, 1))


def _joined(starts: NDArray[np.int64], ends: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """To which part each run belongs, (R,), parts numbered by their first run."""
    # Of the row below, the runs that end after a run's start and start before its end, corners included.
    first = np.searchsorted(ends, starts + stride, side="left")
    beyond = np.searchsorted(starts, ends + stride, side="right")
    leader = list(range(len(starts)))

    def led_by(run: int) -> int:
        while leader[run] != run:
            leader[run] = leader[leader[run]]
            run = leader[run]
        return run

    for run in range(len(starts)):
        for other in range(first[run], beyond[run]):
            one, two = led_by(run), led_by(other)
            leader[max(one, two)] = min(one, two)
    leaders = np.array([led_by(run) for run in range(len(starts))], dtype=np.int64)
    return np.unique(leaders, return_inverse=True)[1].reshape(-1)

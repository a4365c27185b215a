"""Pure box arithmetic on numpy arrays. Boxes are (N, 4) float, x1 y1 x2 y2, any one frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def area(boxes: ArrayLike) -> NDArray[np.float32]:
    """Areas (N,); inverted boxes have none."""
    b = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return np.clip(b[:, 2] - b[:, 0], 0, None) * np.clip(b[:, 3] - b[:, 1], 0, None)


def clip(boxes: ArrayLike, size: tuple[int, int]) -> NDArray[np.float32]:
    """A copy of the boxes clamped to an image of (width, height)."""
    b = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return np.clip(b, 0, np.array([*size, *size], dtype=np.float32))


def intersection(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """Areas shared by each pair of boxes, (len(a), len(b))."""
    a = np.asarray(a, dtype=np.float32).reshape(-1, 4)
    b = np.asarray(b, dtype=np.float32).reshape(-1, 4)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    side = np.clip(high - low, 0, None)
    return side[..., 0] * side[..., 1]


def iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
    """Intersection over union of each pair, (len(a), len(b)); 0 where both boxes are empty."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def claims(overlaps: ArrayLike, threshold: float = 0.5) -> NDArray[np.int64]:
    """Which column each row gets, (R,); -1 for none.

    overlaps: (R, C). Rows in turn take the free column that they overlap most, from the threshold on; so
    found boxes, best first, take true ones.
    """
    free = np.array(overlaps, dtype=np.float32, ndmin=2)
    taken = np.full(len(free), -1, dtype=np.int64)
    for number, row in enumerate(free):
        if row.size and row.max() >= threshold:
            taken[number] = row.argmax()
            free[:, taken[number]] = -1
    return taken


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> NDArray[np.int64]:
    """Indices kept by greedy non-maximum suppression, best score first; ties keep the earlier box.

    A box goes when its IoU with a better one that stays is above `threshold`; 1 keeps all, and boxes without
    area always stay.
    """
    b = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    order = np.argsort(-np.asarray(scores, dtype=np.float32), kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[iou(b[best], b[rest])[0] <= threshold]
    return np.array(kept, dtype=np.int64)

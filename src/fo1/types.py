"""`Regions`: the only box type that passes between modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.errors import RegionError

FloatArray = NDArray[np.float32]


def _frozen(values: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    """A read-only float32 copy, so that neither the caller nor a later module can change it."""
    try:
        # Torch tensors warn if asked for a copy, so it is made from an array.
        array = np.asarray(values, dtype=np.float32).copy()
    except (TypeError, ValueError, OverflowError) as error:
        raise RegionError(f"{name} must be numbers: {error}") from error
    if array.size == 0 and shape[0] == 0:
        array = array.reshape(shape)
    if array.shape != shape:
        raise RegionError(f"{name} must have shape {shape}, got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
    if bad.size:
        raise RegionError(f"{name} must be finite; entry {int(bad[0])} is {array[bad[0]].tolist()}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Regions:
    """Boxes on one image. Validated and immutable.

    xyxy: (N, 4) float32, pixels of the original image (after EXIF), x1 y1 x2 y2.
        Boxes may reach outside the image or be empty: encoders clamp them and give them a feature.
    scores: (N,) float32, the proposer's confidence.
    image_size: (width, height) of the original image in pixels.
    labels: what the proposer thinks each box is, if it says.

    Raises `RegionError` for wrong shapes and for NaN or infinite values.
    """

    xyxy: FloatArray
    scores: FloatArray
    image_size: tuple[int, int]
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        object.__setattr__(self, "xyxy", _frozen(self.xyxy, (count, 4), "boxes"))
        object.__setattr__(self, "scores", _frozen(self.scores, (count,), "scores"))
        width, height = self.image_size
        if width < 1 or height < 1:
            raise RegionError(f"image_size must be positive, got {width}×{height}")
        object.__setattr__(self, "image_size", (int(width), int(height)))
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(self.labels))
            if len(self.labels) != count:
                raise RegionError(f"{len(self.labels)} labels for {count} boxes")

    def __len__(self) -> int:
        return len(self.xyxy)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Regions:
        """The regions at `indices`, in that order."""
        index = np.asarray(indices, dtype=np.int64)
        labels = None if self.labels is None else tuple(self.labels[i] for i in index)
        return Regions(self.xyxy[index], self.scores[index], self.image_size, labels)

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        image_size: tuple[int, int],
        scores: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> Regions:
        """Regions from plain boxes; without `scores` every box scores 1."""
        try:
            count = len(boxes)  # type: ignore[arg-type]
        except TypeError as error:
            raise RegionError(f"boxes must be a list of [x1, y1, x2, y2], got {boxes!r}") from error
        return cls(
            boxes,  # type: ignore[arg-type]
            np.ones(count) if scores is None else scores,  # type: ignore[arg-type]
            image_size,
            None if labels is None else tuple(labels),
        )

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Regions:
        """No regions at all on an image of this size."""
        return cls(np.zeros((0, 4)), np.zeros(0), image_size)  # type: ignore[arg-type]

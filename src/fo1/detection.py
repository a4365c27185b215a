"""`Detection`: one found object, the record that `Detections` yields and the formats exchange."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Detection:
    """One object on one image.

    label: the name it was asked for by, or that a file gives it.
    box: x1, y1, x2, y2 in pixels of the original image (after EXIF).
    score: confidence, 0 to 1; 1 where a source gives none.
    region: number of the proposal it came from; -1 if it came from elsewhere.
    """

    label: str
    box: tuple[float, float, float, float]
    score: float = 1.0
    region: int = -1

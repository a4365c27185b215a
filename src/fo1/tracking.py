"""`Tracker`: which boxes of successive frames are the same thing. No image is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import iou
from fo1.detection import Detection
from fo1.types import FloatArray

SMOOTHING = 0.5
"""Share of the last step in what a track's velocity becomes."""


@dataclass
class Track:
    """A thing on its way. box: (4,) where it was last seen; velocity: (4,) pixels each frame."""

    id: int
    label: str
    box: FloatArray
    velocity: FloatArray
    unseen: int = 0

    @property
    def expected(self) -> FloatArray:
        """Where it should be in the next frame, (4,), if it goes on as it did."""
        return self.box + self.velocity * (self.unseen + 1)

    def see(self, box: FloatArray) -> None:
        """It is here now."""
        step = (box - self.box) / (self.unseen + 1)
        self.velocity = self.velocity + (step - self.velocity) * np.float32(SMOOTHING)
        self.box, self.unseen = box, 0


class Tracker:
    """Numbers things from 1 on, frame by frame.

    A box continues the track of its label whose expected place it overlaps most, the best pairs first; what
    is left begins a new one. Velocity is taken as constant (SORT, Bewley et al. 2016, without its filter).
    overlap: least IoU with the expected place. patience: frames after which an unseen thing is forgotten.
    """

    def __init__(self, overlap: float = 0.2, patience: int = 5) -> None:
        self.overlap, self.patience = overlap, patience
        self._tracks: list[Track] = []
        self._begun = 0

    def update(self, found: Iterable[Detection]) -> list[int]:
        """The next frame's things (`Detections`, say), boxes in pixels → the number of each, in order."""
        things = list(found)
        boxes = np.array([one.box for one in things], dtype=np.float32).reshape(-1, 4)
        ids = [0] * len(things)
        seen = set()
        for track, thing in self._pairs(boxes, [one.label for one in things]):
            self._tracks[track].see(boxes[thing])
            ids[thing] = self._tracks[track].id
            seen.add(track)
        for number, one in enumerate(self._tracks):
            one.unseen += number not in seen
        self._tracks = [one for one in self._tracks if one.unseen <= self.patience]
        for number in [number for number, id in enumerate(ids) if not id]:
            self._begun += 1
            ids[number] = self._begun
            still = np.zeros(4, dtype=np.float32)
            self._tracks.append(Track(self._begun, things[number].label, boxes[number], still))
        return ids

    def _pairs(self, boxes: FloatArray, labels: Sequence[str]) -> Iterator[tuple[int, int]]:
        """(track, box) of those that belong together, best overlap first; each of them once."""
        if not self._tracks:
            return
        overlaps = iou([track.expected for track in self._tracks], boxes)
        overlaps[_differ([track.label for track in self._tracks], labels)] = 0
        while overlaps.size and overlaps.max() >= self.overlap:
            track, thing = np.unravel_index(overlaps.argmax(), overlaps.shape)
            yield int(track), int(thing)
            overlaps[track] = -1
            overlaps[:, thing] = -1


Row: TypeAlias = dict[str, Any]


def rows(frame: int, found: Iterable[Detection], ids: Sequence[int]) -> list[Row]:
    """One frame's things as records: frame, id, label, box (x1 y1 x2 y2 in pixels), score."""
    return [
        {
            "frame": frame,
            "id": id,
            "label": one.label,
            "box": [round(v, 2) for v in one.box],
            "score": round(one.score, 4),
        }
        for one, id in zip(found, ids, strict=True)
    ]


def to_mot(row: Row) -> str:
    """A line as MOTChallenge has it: frame (from 1), id, left, top, width, height, score, -1, -1, -1."""
    x1, y1, x2, y2 = row["box"]
    values = (row["frame"] + 1, row["id"], x1, y1, round(x2 - x1, 2), round(y2 - y1, 2), row["score"])
    return ",".join(f"{value:.10g}" for value in (*values, -1, -1, -1))


def _differ(first: Sequence[str], second: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[one != other for other in second] for one in first], bool).reshape(len(first), -1)

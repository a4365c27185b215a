"""`Tracking`: boxes found on successive frames → which of them are the same thing. No model is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from fo1.detection import Detection
from fo1.serving.limits import Limits
from fo1.serving.problems import Problem
from fo1.serving.questions import Pixel, Strict
from fo1.tracking import Tracker

FRAMES = 5000
BOXES = 50_000
EXAMPLE = [[{"label": "car", "box": [10, 20, 50, 40]}], [{"label": "car", "box": [14, 20, 54, 40]}]]


class Seen(Strict):
    """A box on a frame: x1 y1 x2 y2 in pixels."""

    label: str
    box: Annotated[list[Pixel], Field(min_length=4, max_length=4)]


class Tracking(Strict):
    """Say which boxes of successive frames are the same thing."""

    frames: list[list[Seen]] = Field(
        description="What was found on each frame, in order.", max_length=FRAMES, examples=[EXAMPLE]
    )
    patience: int = Field(5, ge=0, le=1000, description="Frames that a thing may be missing.")


class Tracked(BaseModel):
    """ids: for each frame, the number of each of its boxes, in order."""

    ids: list[list[int]]


def follow(asked: Tracking, limits: Limits) -> Tracked:
    """Raises `Problem` for more boxes than are followed."""
    for frame in asked.frames:
        limits.check_boxes(frame)
    total = sum(map(len, asked.frames))
    if total > BOXES:
        raise Problem(400, f"{total:,} boxes; at most {BOXES:,} are followed, so raise the least score")
    tracker = Tracker(patience=asked.patience)
    return Tracked(ids=[tracker.update(_things(frame)) for frame in asked.frames])


def _things(frame: list[Seen]) -> list[Detection]:
    return [Detection(one.label, (one.box[0], one.box[1], one.box[2], one.box[3]), 1.0, -1) for one in frame]

"""`paint`: scenes of coloured shapes and their boxes, hard enough that a tiny model gets some wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fo1.boxes import iou
from fo1.data.record import ImageRef, Record, Turn
from fo1.findings import written
from fo1.prompts.parsing import Grounding
from fo1.prompts.tasks import TASKS

COLOURS = {"red": (215, 40, 40), "green": (40, 165, 60), "blue": (45, 75, 220), "yellow": (235, 215, 50)}
SHAPES = ("disc", "ring", "square", "cross")
KINDS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

Box = tuple[int, int, int, int]


def paint(folder: Path, number: int) -> Record:
    """`scene-N.png` and its record, which asks to detect its things. Drawn from `number` alone.

    Two to five shapes of 12 to 60 pixels, some overlapping a little, on noise of 112 to 160 pixels a side.
    Behind the things' boxes come those that a careless proposer might add, without a label: parts of things,
    boxes much too large, and places where nothing is.
    """
    rng = np.random.default_rng((1, number))
    width, height = (int(side) for side in rng.integers(112, 161, 2))
    image = Image.fromarray(_noise(rng, width, height))
    things: list[Box] = []
    labels: list[str] = []
    wanted = int(rng.integers(2, 6))
    while len(things) < wanted:
        box = _somewhere(rng, width, height)
        if things and iou([box], things).max() > 0.08:
            continue
        label = str(rng.choice(KINDS))
        _draw(image, label, box, rng)
        things.append(box)
        labels.append(label)
    path = folder / f"scene-{number}.png"
    image.save(path)
    others = _distractors(rng, things, width, height)
    return Record(
        ImageRef(path.name, (width, height), folder),
        np.array([*things, *others], dtype=np.float32),
        (asking(labels),),
        labels=(*labels, *(None for _ in others)),
        source="painted",
        id=path.stem,
        meta={"absent": [kind for kind in KINDS if kind not in labels]},
    )


def asking(labels: Sequence[str]) -> tuple[Turn, Turn]:
    """All labels asked for in one question."""
    asked = sorted(set(labels))
    answer = [
        written(Grounding(one, tuple(i for i, label in enumerate(labels) if label == one))) for one in asked
    ]
    return Turn("user", TASKS["detect"].fill(*asked)), Turn("assistant", "".join(answer))


def _noise(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(H, W, 3) uint8: a greyish colour, blotches and grain."""
    blotches = rng.normal(0, 14, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)
    grain = rng.normal(0, 10, (height, width, 3))
    noise: np.ndarray = rng.integers(90, 165, 3) + blotches[:height, :width] + grain
    return noise.clip(0, 255).astype(np.uint8)


def _somewhere(rng: np.random.Generator, width: int, height: int) -> Box:
    """A box of 12 to 60 pixels, as often small as large."""
    side = 12 * 5 ** rng.random()
    across, down = (int(np.clip(side * rng.uniform(0.85, 1.18), 12, 60)) for _ in range(2))
    x, y = int(rng.integers(0, width - across)), int(rng.integers(0, height - down))
    return x, y, x + across, y + down


def _distractors(rng: np.random.Generator, things: Sequence[Box], width: int, height: int) -> list[Box]:
    """Three to five boxes, none of which is one of the things."""
    chosen: list[Box] = []
    wanted = int(rng.integers(3, 6))
    while len(chosen) < wanted:
        box = _somewhere(rng, width, height)
        if rng.random() < 0.5:  # beside a thing, or around it, by half to one and a half of its sides
            x1, y1, x2, y2 = things[int(rng.integers(len(things)))]
            moved = rng.uniform(-0.7, 0.7, 4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
            left, top, right, bottom = (int(v) for v in np.array([x1, y1, x2, y2]) + moved)
            box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
            if min(box[2] - box[0], box[3] - box[1]) < 8:
                continue
        if iou([box], things).max() < 0.3:
            chosen.append(box)
    return chosen


def _draw(image: Image.Image, label: str, box: Box, rng: np.random.Generator) -> None:
    colour, shape = label.split()
    red, green, blue = (int(v) for v in np.array(COLOURS[colour]) + rng.integers(-25, 26, 3))
    paint, canvas = (red, green, blue), ImageDraw.Draw(image)
    x1, y1, x2, y2 = box[0], box[1], box[2] - 1, box[3] - 1
    third_x, third_y = (x2 - x1) // 3, (y2 - y1) // 3
    if shape == "disc":
        canvas.ellipse((x1, y1, x2, y2), fill=paint)
    elif shape == "ring":
        canvas.ellipse((x1, y1, x2, y2), outline=paint, width=max((x2 - x1) // 5, 2))
    elif shape == "square":
        canvas.rectangle((x1, y1, x2, y2), fill=paint)
    else:
        canvas.rectangle((x1 + third_x, y1, x2 - third_x, y2), fill=paint)
        canvas.rectangle((x1, y1 + third_y, x2, y2 - third_y), fill=paint)

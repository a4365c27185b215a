"""`problems`: what makes no sense in a record, though its form is right."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fo1.data.record import Dialogue, Record
from fo1.prompts.parsing import named_regions
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END, THINK, THINK_END

Kind = Literal[
    "record",
    "duplicate id",
    "image",
    "box inverted",
    "box empty",
    "box outside",
    "box partly outside",
    "region absent",
    "roles",
    "empty text",
    "empty objects",
    "region order",
    "tags",
    "no dialogue",
]
WARNINGS: frozenset[Kind] = frozenset({"box partly outside", "region order", "tags", "no dialogue"})

EDGE = 1.0
"""Pixels by which a box may reach over the edge unremarked: detectors round."""

_LIST = re.compile(rf"{OBJECTS}(.*?){OBJECTS_END}", re.DOTALL)
_PAIRS = ((GROUND, GROUND_END), (OBJECTS, OBJECTS_END), (THINK, THINK_END))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or, as a warning, odd."""

    kind: Kind
    message: str

    @property
    def is_error(self) -> bool:
        """Not to be trained on."""
        return self.kind not in WARNINGS


def problems(record: Record) -> Iterator[Problem]:
    """All of one record, but for its image file and what concerns other records."""
    yield from _box_problems(record)
    if not record.dialogues:
        yield Problem("no dialogue", "there is no dialogue, so nothing to train on as it is")
    for number, dialogue in enumerate(record.dialogues):
        for problem in _dialogue_problems(dialogue, len(record.boxes)):
            yield Problem(problem.kind, f"dialogues[{number}]: {problem.message}")


def _box_problems(record: Record) -> Iterator[Problem]:
    for number, box in enumerate(record.boxes.tolist()):
        kind = _box_problem(box, record.image.size)
        if kind is not None:
            shown = ", ".join(f"{value:g}" for value in box)
            size = record.image.size
            where = "" if size is None else f" on an image of {size[0]}×{size[1]}"
            yield Problem(kind, f"boxes[{number}] {_BOX_MESSAGES[kind]}: [{shown}]{where}")


_BOX_MESSAGES: dict[Kind, str] = {
    "box inverted": "has x2 < x1 or y2 < y1, but must be [x1, y1, x2, y2]",
    "box empty": "has no area",
    "box outside": "lies outside the image",
    "box partly outside": "reaches outside the image",
}


def _box_problem(box: list[float], size: tuple[int, int] | None) -> Kind | None:
    """Without a size only what lies left of the image or above it is known to be outside."""
    width, height = size or (math.inf, math.inf)
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        return "box inverted"
    if x1 == x2 or y1 == y2:
        return "box empty"
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        return "box outside"
    return "box partly outside" if min(x1, y1, width - x2, height - y2) < -EDGE else None


def _dialogue_problems(dialogue: Dialogue, count: int) -> Iterator[Problem]:
    roles = [turn.role for turn in dialogue]
    talk = roles[1:] if roles[0] == "system" else roles
    if not talk or len(talk) % 2 or talk != ["user", "assistant"] * (len(talk) // 2):
        yield Problem(
            "roles", f"turns are {', '.join(roles)}; expected [system,] user, assistant, user, assistant, …"
        )
    for number, turn in enumerate(dialogue):
        if not turn.text.strip():
            yield Problem("empty text", f"turn {number} ({turn.role}) says nothing")
        absent = sorted({region for region in named_regions(turn.text) if region >= count})
        if absent:
            names = ", ".join(f"<region{region}>" for region in absent[:5])
            there = f"of {count} regions" if count else "but there are no regions"
            yield Problem("region absent", f"turn {number} ({turn.role}) names {names}, {there}")
        if turn.role == "assistant":
            yield from _answer_problems(turn.text, number)


def _answer_problems(text: str, number: int) -> Iterator[Problem]:
    for inside in _LIST.findall(text):
        named = named_regions(inside)
        if not inside.strip():
            yield Problem("empty objects", f"turn {number} lists no objects; write None for what is absent")
        elif named != sorted(set(named)):
            yield Problem("region order", f"turn {number} lists regions in no ascending order: {inside[:60]}")
    for start, end in _PAIRS:
        opened, closed = text.count(start), text.count(end)
        if opened != closed:
            yield Problem("tags", f"turn {number} has {opened} {start} but {closed} {end}")

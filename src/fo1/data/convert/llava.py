"""LLaVA-style conversations about whole images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, read_json, read_lines
from fo1.data.convert.problems import Problems
from fo1.data.record import Dialogue, RecordError, Role, Turn

WHAT = 'a list of {"image", "conversations": [{"from", "value"}, …]}'
_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
_MARK = "<image>"


def read_llava(
    path: Path, images: Path | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images with a conversation each, in the file's order. Without regions.

    path: a JSON list, or JSON lines. images: folder of the images, by default the JSON's own.
    Entries without an image, with several, or whose sides do not take turns are problems.
    Raises `RecordError` for another file.
    """
    problems = problems or Problems()
    pictures = Images(images or path.parent, problems)
    for place, row in _rows(path, problems):
        talk = row.get("conversations") if isinstance(row, dict) else None
        if not isinstance(talk, list):
            problems.add("entry without conversations", place)
            continue
        name = row.get("image")
        if isinstance(name, list) and len(name) == 1:
            name = name[0]
        if not isinstance(name, str) or not name:
            problems.add(
                "conversation about several images" if name else "conversation without an image", place
            )
            continue
        try:
            dialogue = parse_talk(talk)
        except RecordError as error:
            problems.add(str(error), place)
            continue
        found = pictures.find(name, place)
        image = None if found is None else pictures.ref(found)
        if image is not None:
            number = row.get("id")
            yield Annotated(
                image, exhaustive=False, talks=(dialogue,), id=None if number is None else str(number)
            )


def parse_talk(turns: list[Any]) -> Dialogue:
    """A LLaVA conversation as a dialogue; the mark where the image stands is taken out.

    Raises `RecordError` saying what is wrong: unknown speaker, empty turn, sides that do not alternate, names
    of regions, or more than one image.
    """
    made: list[Turn] = []
    marks = 0
    for turn in turns:
        speaker, text = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        role = _ROLES.get(str(speaker))
        if role is None or not isinstance(text, str):
            raise RecordError("turn of an unknown speaker or without text")
        marks += text.count(_MARK)
        text = text.replace(_MARK, "").strip()
        if not text:
            raise RecordError("empty turn")
        if "<region" in text:
            raise RecordError("conversation that names regions, but has none")
        made.append(Turn(role, text))
    sides = [turn.role for turn in made if turn.role != "system"]
    if len(sides) < 2 or len(sides) % 2 or sides != ["user", "assistant"] * (len(sides) // 2):
        raise RecordError("sides do not take turns, user first and assistant last")
    if marks > 1:
        raise RecordError("conversation about several images")
    return tuple(made)


def _rows(path: Path, problems: Problems) -> Iterator[tuple[str, Any]]:
    """Entries with their places."""
    if path.suffix != ".jsonl":
        rows = read_json(path, WHAT)
        if not isinstance(rows, list):
            raise RecordError(f"{path}: expected {WHAT}")
        yield from ((f"{path.name}, entry {number}", row) for number, row in enumerate(rows))
        return
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            place = f"{path.name}, line {number}"
            try:
                yield place, json.loads(line)
            except json.JSONDecodeError:
                problems.add("line is not JSON", place)

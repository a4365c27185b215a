"""CountBench and PixMo-Count as the authors' evaluation has them: questions, numbers and proposals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.files import Images, as_boxes, read_json, sound_box
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError, Turn

WHAT = 'a list of {"question", "answer", "image", "bboxes"}'
# The task's wording asks to name regions, and nobody wrote down which; here only the number is asked.
_LOCATE = re.compile(r"\s*Count each instance of the target object\..*$", re.S)


def read_counting(
    path: Path, images: Path | None = None, problems: Problems | None = None
) -> Iterator[Annotated]:
    """Images of a counting benchmark, in the file's order.

    images: folder of the images, by default the JSON's own.
    Boxes are proposals, scored or not; which of them are the counted objects is not known, so the answer is
    the number alone. `meta` keeps the benchmark's own question and number, for evaluation.
    Raises `RecordError` for another file.
    """
    problems = problems or Problems()
    rows = read_json(path, WHAT)
    if not isinstance(rows, list):
        raise RecordError(f"{path}: expected {WHAT}")
    pictures = Images(images or path.parent, problems)
    for number, row in enumerate(rows):
        place = f"{path.name}, entry {number}"
        if not _is_sound(row):
            problems.add("entry without question, number, image and boxes", place)
            continue
        found = pictures.find(row["image"], place)
        image = None if found is None else pictures.ref(found)
        if image is not None and image.size is not None:
            yield _annotated(row, image, place, problems)


def _annotated(row: dict[str, Any], image: Any, place: str, problems: Problems) -> Annotated:
    scores = row.get("scores") or []
    if scores and len(scores) != len(row["bboxes"]):
        problems.add("scores do not match the boxes", place)
        scores = []
    sound = [sound_box(box, image.size, f"{place}, box {i}", problems) for i, box in enumerate(row["bboxes"])]
    question = _LOCATE.sub("", row["question"]) + " Answer with the number only."
    return Annotated(
        image,
        as_boxes(box for box in sound if box is not None),
        scores=tuple(float(s) for s, box in zip(scores, sound, strict=False) if box is not None),
        exhaustive=False,
        talks=((Turn("user", question), Turn("assistant", str(row["answer"]))),),
        id=row["image"],
        meta={"question": row["question"], "count": row["answer"]},
    )


def _is_sound(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(key), str) and row[key] for key in ("question", "image"))
        and isinstance(row.get("answer"), int)
        and isinstance(row.get("bboxes"), list)
    )

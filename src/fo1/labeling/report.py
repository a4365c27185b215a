"""The report of a judgement: counts of each class, what was taken for what, and a page of drawn images."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.drawing import draw, one_line
from fo1.errors import Fo1Error
from fo1.labeling.annotations import Judged, Judgement
from fo1.labeling.ledger import Row, write_whole
from fo1.labeling.verdicts import Decision, Limits

COLUMNS = (*(decision.value for decision in Decision), "missed")
COLOURS = {
    "accept": (50, 190, 90),
    "reject": (230, 60, 110),
    "relabel": (255, 122, 26),
    "missed": (30, 144, 255),
}
SHOWN, WIDE, TALL, ACROSS = 12, 480, 360, 3


def write_report(
    judgement: Judgement, limits: Limits, folder: Path, open_image: Callable[[str], Image.Image]
) -> dict[str, Counter[str]]:
    """Writes report.json, report.md and sample.png; returns the counts of each class.

    open_image: by id. Raises `Fo1Error` if they cannot be written.
    """
    images = list(judgement.images.values())
    counts = count(images)
    document = {
        "limits": vars(limits),
        "classes": {name: {column: row[column] for column in COLUMNS} for name, row in counts.items()},
        "images": [entry(one) for one in images],
    }
    write_whole(folder / "report.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    write_whole(folder / "report.md", _markdown(images, counts, limits))
    try:
        _page(images, open_image).save(folder / "sample.png")
    except OSError as error:
        raise Fo1Error(f"{folder / 'sample.png'} cannot be written: {error}") from error
    return counts


def count(images: Iterable[Judged]) -> dict[str, Counter[str]]:
    """For each class, how many boxes were accepted, rejected and renamed, and how many things missed."""
    counts: dict[str, Counter[str]] = {}
    for one in images:
        for verdict in one.verdicts:
            counts.setdefault(verdict.label, Counter())[verdict.decision.value] += 1
        for thing in one.missed:
            counts.setdefault(thing["label"], Counter())["missed"] += 1
    return dict(sorted(counts.items()))


def entry(one: Judged) -> Row:
    """What is to say of one image."""
    boxes = [{"box": box, **v.to_dict()} for v, box in zip(one.verdicts, one.boxes, strict=True)]
    return {"image": one.file, "size": list(one.size), "boxes": boxes, "missed": one.missed}


def _markdown(images: list[Judged], counts: dict[str, Counter[str]], limits: Limits) -> str:
    total = sum(counts.values(), Counter[str]())
    told = ", ".join(f"{name} {value:g}" for name, value in vars(limits).items())
    lines = [
        "# Judgement\n",
        f"{len(images)} images; limits: {told}. Every box with its scores is in report.json.\n",
        f"| class | {' | '.join(COLUMNS)} |",
        f"|---|{'---:|' * len(COLUMNS)}",
        *(_cells(name, row) for name, row in counts.items()),
        _cells("**all**", total),
    ]
    renamed = Counter(
        (v.label, v.other) for one in images for v in one.verdicts if v.decision is Decision.relabel
    )
    if renamed:
        lines += ["\n| was | is | boxes |", "|---|---|---:|"]
        lines += [f"| {was} | {now} | {number} |" for (was, now), number in renamed.most_common(20)]
    return "\n".join([*lines, "\n![Images with the most doubts](sample.png)\n"])


def _cells(name: str, row: Counter[str]) -> str:
    return f"| {name} | {' | '.join(str(row[column]) for column in COLUMNS)} |"


def _page(images: list[Judged], open_image: Callable[[str], Image.Image]) -> Image.Image:
    """The images with the most doubts, drawn; chips say what was decided."""
    worst = sorted(images, key=lambda one: -sum(not v.right for v in one.verdicts) - len(one.missed))[:SHOWN]
    cells = [_drawn(one, open_image(one.id)) for one in worst]
    rows = -(-len(cells) // ACROSS)
    page = Image.new("RGB", (ACROSS * WIDE, max(rows, 1) * TALL), "white")
    for number, cell in enumerate(cells):
        page.paste(cell, (number % ACROSS * WIDE, number // ACROSS * TALL))
    return page


def _drawn(one: Judged, image: Image.Image) -> Image.Image:
    """Each box with its decision and label; one that was renamed with both names."""
    told = [
        (v.decision.value, v.label, v.other, box, v.confidence)
        for v, box in zip(one.verdicts, one.boxes, strict=True)
    ]
    told += [("missed", thing["label"], None, thing["box"], thing["score"]) for thing in one.missed]
    things, colours = [], {}
    for decision, label, other, (x1, y1, x2, y2), score in told:
        text = f"{label}, is {other}" if decision == "relabel" else label
        things.append(Detection(f"{decision}: {text}", (x1, y1, x2, y2), score))
        colours[things[-1].label] = COLOURS[decision]
    small = image.copy()
    small.thumbnail((WIDE - 4, TALL - 4))
    return draw(small, Detections.of(things, one.size), lambda thing: one_line(thing.label), colours)

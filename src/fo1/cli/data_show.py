"""`fo1 data show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli.common import note
from fo1.cli.pictures import save_picture
from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from fo1.data.reading import Line
    from fo1.data.record import ImageRef, Record
    from fo1.detection import Detection


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".jsonl or .jsonl.gz.", show_default=False)],
    number: Annotated[
        int,
        typer.Argument(
            metavar="N", min=1, help="Line in the file, as fo1 data check counts them.", show_default=False
        ),
    ],
    save: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Draw the regions and their numbers.", show_default=False),
    ] = None,
) -> None:
    """Show one training record: its regions, its dialogues, and what is wrong with it.

    \b
    Example:
      fo1 data show train.jsonl 12 --save out.png
    """
    from fo1.data.problems import problems

    line = _line(file, number)
    record = line.parse()
    target = None if save is None else _target(save, record.image)
    _print(record, line.place)
    for problem in problems(record):
        note(f"{line.place}: {'error' if problem.is_error else 'warning'}: {problem.message}")
    if target is not None:
        _draw(record, target)


def _target(save: str, image: ImageRef) -> Path:
    from fo1.cli.pictures import planned

    source = image.path if image.is_url else str(image.root / image.path)
    return planned(Path(save), [source])[source]


def _line(file: Path, number: int) -> Line:
    from fo1.data.reading import lines

    last = 0
    for line in lines(file):
        if line.number == number:
            return line
        last = line.number
        if last > number:
            raise Fo1Error(f"{file}: line {number} is blank")
    raise Fo1Error(f"{file} has no line {number}; the last is {last}")


def _print(record: Record, place: str) -> None:
    size = "" if record.image.size is None else " {}×{}".format(*record.image.size)
    typer.echo(f"{place}: {record.image.path}{size}")
    for name, value in (("id", record.id), ("source", record.source), ("meta", dict(record.meta) or None)):
        if value is not None:
            typer.echo(f"{name}: {value}")
    for index, box in enumerate(record.boxes.tolist()):
        label = None if record.labels is None else record.labels[index]
        score = "" if record.scores is None else f" {record.scores[index]:.2f}"
        shown = ", ".join(f"{value:g}" for value in box)
        typer.echo(f"<region{index}> [{shown}]{score}{'' if label is None else f' {label}'}")
    for index, dialogue in enumerate(record.dialogues):
        typer.echo(f"\ndialogue {index}")
        for turn in dialogue:
            typer.echo(f"  {turn.role}: {turn.text}")


def _draw(record: Record, target: Path) -> None:
    from fo1.data.images import ImageFiles
    from fo1.detection import Detection
    from fo1.detections import Detections
    from fo1.drawing import draw

    image = ImageFiles().open(record.image)
    labels = record.labels or (None,) * len(record.boxes)
    found = [
        Detection(label or "", tuple(box), 1.0, number)
        for number, (box, label) in enumerate(zip(record.boxes.tolist(), labels, strict=True))
    ]
    save_picture(draw(image, Detections.of(found, image.size), _chip), target)


def _chip(found: Detection) -> str:
    from fo1.drawing import one_line

    return f"{found.region} {one_line(found.label)}".strip()

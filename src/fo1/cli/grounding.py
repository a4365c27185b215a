"""What `detect`, `find` and `count` have in common: each image's findings, printed, written and drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from fo1.cli.common import FAILED
from fo1.cli.documents import Printer, Result
from fo1.cli.inputs import parse_tiles, read_boxes
from fo1.cli.jsonfile import JsonFile
from fo1.cli.looking import Look, each_image
from fo1.cli.options import Format, Settings
from fo1.cli.outlining import Outliner
from fo1.errors import Fo1Error
from fo1.records import described

if TYPE_CHECKING:
    from fo1.findings import Findings
    from fo1.scene import Scene


@dataclass(frozen=True)
class Outputs:
    """Where findings go, and with what. save, json, masks: see the options of that name."""

    save: str | None = None
    json: str | None = None
    form: Format = Format.table
    masks: str | None = None


def ground(
    images: list[str],
    labels: Sequence[str],
    verb: Callable[[Scene], Findings],
    settings: Settings,
    outputs: Outputs,
    boxes: str | None = None,
    top_k: int | None = None,
    tiles: str | None = None,
    counted: bool = False,
) -> None:
    """Asks each image and hands out the findings.

    counted: say how many there are.
    Raises `Fo1Error` for what concerns all images, and exits with 2 if one failed.
    """
    from fo1.cli.pictures import Pictures

    json = JsonFile(outputs.json)
    if json.is_stdout and outputs.form is not Format.table:
        raise Fo1Error(f"--json - and --format {outputs.form.value} both need standard output; choose one")
    printer = Printer(None if json.is_stdout else outputs.form, labels, len(images) > 1)
    pictures = Pictures(outputs.save, images)
    outline = Outliner(outputs.masks, settings)
    given = None if boxes is None else read_boxes(boxes, images)

    def use(look: Look) -> None:
        found = verb(look.scene)
        outlined = outline(look.image, found)
        extra = {"count": len(found)} if counted else {}
        record = look.record(**described(found, outlined), **extra)
        json.write(record)
        printer.add(Result(found, record, outlined), f"{len(found)} {labels[0]}" if counted else None)
        pictures.save(look.source, look.image, found, outlined)

    failed = each_image(images, settings, use, given, top_k, None if tiles is None else parse_tiles(tiles))
    printer.end()
    if failed:
        raise typer.Exit(FAILED)

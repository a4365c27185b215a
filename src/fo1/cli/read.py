"""`fo1 read`."""

from __future__ import annotations

from typing import Annotated

import typer

from fo1.cli.common import FAILED
from fo1.cli.inputs import expand, parse_box, read_boxes
from fo1.cli.jsonfile import JsonFile
from fo1.cli.looking import Look, each_image
from fo1.cli.options import (
    DEFAULT_MODEL,
    Box,
    Boxes,
    Device,
    Dtype,
    Images,
    Json,
    Model,
    Save,
    Settings,
    Threads,
)
from fo1.errors import Fo1Error
from fo1.records import transcribed


def read(
    images: Images,
    box: Box = None,
    boxes: Boxes = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of a line; boxes are read whatever their score.")
    ] = 0.6,
    save: Save = None,
    json: Json = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Read what is written: every line of text, or what given boxes say.

    fo1-smol reads Latin letters, digits and signs, in lines that are upright or stand on their side. Other
    models answer in words, and need boxes.

    \b
    Examples:
      fo1 read street.jpg --save read.png
      fo1 read "scans/*.png" --json text.jsonl
      fo1 read street.jpg --box 40,60,200,90
    """
    from fo1.cli import tables
    from fo1.cli.pictures import Pictures

    if box is not None and boxes is not None:
        raise Fo1Error("--box and --boxes exclude each other; choose one")
    sources = expand(images)
    given = None if boxes is None else read_boxes(boxes, sources)
    given = given if box is None else [parse_box(box)]
    sink, pictures = JsonFile(json), Pictures(save, sources)

    def use(look: Look) -> None:
        found = look.scene.read(None if given is None else range(len(given)), threshold)
        record = look.record(**transcribed(found))
        sink.write(record)
        if not sink.is_stdout:
            tables.show_text(found, record["seconds"], look.source if len(sources) > 1 else None)
        pictures.save(look.source, look.image, found)

    if each_image(sources, Settings(model, device, dtype, threads), use, given):
        raise typer.Exit(FAILED)

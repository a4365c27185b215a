"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE", help='Files, URLs or patterns such as "photos/*.jpg".', show_default=False
    ),
]
Model = Annotated[
    str,
    typer.Option("--model", "-m", help="Name of a bundled model (see fo1 models), a folder, or a hub id."),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, mps, …; by default the best there is.", show_default=False)
]
Dtype = Annotated[
    str | None,
    typer.Option(help="float32, bfloat16, float16 or int8; by default what is quick.", show_default=False),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.", show_default=False)
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE|-",
        help="Write one JSON object per image, one a line; with - to standard output and nothing else there.",
        show_default=False,
    ),
]
JsonObject = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE|-",
        help="Write the result as one JSON object; with - to standard output and nothing else there.",
        show_default=False,
    ),
]
Boxes = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Use these boxes instead of the proposer's: a JSON list of [x1, y1, x2, y2] in pixels, "
        'or {"boxes": […]}.',
        show_default=False,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        metavar="N",
        help="Keep only the N best regions, or the first N of --boxes; regions are numbered after that.",
        show_default=False,
    ),
]
Tiles = Annotated[
    str | None,
    typer.Option(
        metavar="PIXELS|auto",
        help="For small things in large images: also look at overlapping tiles with sides of so many pixels.",
        show_default=False,
    ),
]
Proposer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:SOURCE]",
        help="What finds boxes: nanodet, text, cached:FILE, rtdetr:FOLDER, an http address, …, or several "
        "joined by +; see docs/proposers.md. By default the model's own.",
        show_default=False,
    ),
]
Masks = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A SAM's folder or hub id: draw masks of what was found, for --save, --json and --format.",
        show_default=False,
    ),
]
Region = Annotated[
    int | None,
    typer.Option(min=0, help="The region of this number, as fo1 detect shows it.", show_default=False),
]
Box = Annotated[
    str | None,
    typer.Option(
        metavar="X1,Y1,X2,Y2", help="This part, in pixels of the original image.", show_default=False
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Least score to report; by default the model's own.", show_default=False),
]
Save = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Draw the boxes. out.png is that file, or out-NAME.png for each of several images; "
        "a folder (no suffix) gets NAME.png.",
        show_default=False,
    ),
]


class Format(str, Enum):
    """What is printed."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    coco = "coco"
    yolo = "yolo"
    labelme = "labelme"


Form = Annotated[
    Format,
    typer.Option(
        "--format",
        "-f",
        help="What to print. json: as --json; jsonl: one detection a line; coco: one data set; "
        "yolo, labelme: for one image.",
    ),
]

DEFAULT_MODEL = "fo1-smol"


@dataclass(frozen=True)
class Settings:
    """Which model to load, and how. None means the default of `fo1.load`."""

    model: str = DEFAULT_MODEL
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    proposer: str | None = None

"""`fo1 name`."""

from __future__ import annotations

from typing import Annotated

import typer

from fo1.cli.inputs import expand, parse_box
from fo1.cli.options import (
    DEFAULT_MODEL,
    Box,
    Device,
    Dtype,
    Images,
    Json,
    Model,
    Proposer,
    Region,
    Settings,
    Threads,
)
from fo1.cli.telling import tell
from fo1.errors import Fo1Error


def name(
    images: Images,
    region: Region = None,
    box: Box = None,
    among: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Names to choose from; by default those the model knows.",
            show_default=False,
        ),
    ] = None,
    json: Json = None,
    proposer: Proposer = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Say what a region or a box is called: the likeliest names, with their chances.

    \b
    Examples:
      fo1 name farm.jpg --region 0
      fo1 name farm.jpg --box 40,60,200,180 --among "cow, horse, sheep"
    """
    if (region is None) == (box is None):
        raise Fo1Error("say what to name with either --region N or --box X1,Y1,X2,Y2")
    boxes = None if box is None else [parse_box(box)]
    chosen = 0 if region is None else region
    tell(
        expand(images),
        lambda scene: ", ".join(f"{word} {chance:.2f}" for word, chance in scene.names(chosen, among)),
        Settings(model, device, dtype, threads, proposer),
        json,
        boxes,
    )

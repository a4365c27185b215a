"""`fo1 find`."""

from __future__ import annotations

from typing import Annotated

import typer

from fo1.cli.grounding import Outputs, ground
from fo1.cli.inputs import check_words, expand
from fo1.cli.options import (
    DEFAULT_MODEL,
    Boxes,
    Device,
    Dtype,
    Form,
    Format,
    Images,
    Json,
    Masks,
    Model,
    Proposer,
    Save,
    Settings,
    Threads,
    Threshold,
    Tiles,
    TopK,
)

EXAMPLE = 'fo1 find table.jpg "the left cup"'


def find(
    images: Images,
    phrase: Annotated[
        str,
        typer.Argument(
            metavar="PHRASE", help="What the one thing looks like, or where it is.", show_default=False
        ),
    ],
    save: Save = None,
    json: Json = None,
    form: Form = Format.table,
    boxes: Boxes = None,
    top_k: TopK = None,
    tiles: Tiles = None,
    threshold: Threshold = None,
    masks: Masks = None,
    proposer: Proposer = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Find the one thing that a phrase describes.

    \b
    Example:
      fo1 find table.jpg "the left cup" --save out.png
    """
    from fo1.prompts.tasks import clean_labels

    check_words(images, phrase, "phrase", EXAMPLE)
    asked = clean_labels([phrase])
    ground(
        expand(images),
        asked,
        lambda scene: scene.find(asked[0], threshold),
        Settings(model, device, dtype, threads, proposer),
        Outputs(save, json, form, masks),
        boxes,
        top_k,
        tiles,
    )

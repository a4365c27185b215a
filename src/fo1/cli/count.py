"""`fo1 count`."""

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
    Model,
    Proposer,
    Save,
    Settings,
    Threads,
    Threshold,
    Tiles,
    TopK,
)

EXAMPLE = 'fo1 count fruit.jpg "orange"'


def count(
    images: Images,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The one name to count.", show_default=False)],
    save: Save = None,
    json: Json = None,
    form: Form = Format.table,
    boxes: Boxes = None,
    top_k: TopK = None,
    tiles: Tiles = None,
    threshold: Threshold = None,
    proposer: Proposer = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Count the things of one name, and say where they are.

    \b
    Example:
      fo1 count fruit.jpg orange
    """
    from fo1.prompts.tasks import clean_labels

    check_words(images, label, "label", EXAMPLE)
    asked = clean_labels([label])
    ground(
        expand(images),
        asked,
        lambda scene: scene.locate(asked[0], threshold),
        Settings(model, device, dtype, threads, proposer),
        Outputs(save, json, form),
        boxes,
        top_k,
        tiles,
        counted=True,
    )

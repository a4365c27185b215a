"""`fo1 detect`."""

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

EXAMPLE = 'fo1 detect fruit.jpg "orange, apple"'


def detect(
    images: Images,
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS", help="The names to look for, separated by commas.", show_default=False
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
    """Find all things of the given names.

    Boxes are x1 y1 x2 y2 in pixels of the original image, turned upright. An image that cannot be read is
    reported and the others go on; the exit code is then 2.

    \b
    Examples:
      fo1 detect fruit.jpg "orange, apple" --save out.png
      fo1 detect "photos/*.jpg" "cat, dog" --save drawn/ --json found.jsonl
      fo1 detect fruit.jpg "orange, apple" --format coco > fruit.json
      fo1 detect aerial.jpg "car" --tiles auto
    """
    from fo1.prompts.tasks import clean_labels

    check_words(images, labels, "labels", EXAMPLE)
    asked = clean_labels(labels)
    ground(
        expand(images),
        asked,
        lambda scene: scene.detect(asked, threshold),
        Settings(model, device, dtype, threads, proposer),
        Outputs(save, json, form, masks),
        boxes,
        top_k,
        tiles,
    )

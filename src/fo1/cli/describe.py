"""`fo1 describe`."""

from __future__ import annotations

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


def describe(
    images: Images,
    region: Region = None,
    box: Box = None,
    json: Json = None,
    proposer: Proposer = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Say in a few words what is there.

    In the whole image, in one of its regions, or in a box.

    \b
    Examples:
      fo1 describe fruit.jpg
      fo1 describe fruit.jpg --region 3
      fo1 describe fruit.jpg --box 40,60,200,180
    """
    if region is not None and box is not None:
        raise Fo1Error("--region and --box exclude each other; choose one")
    boxes = None if box is None else [parse_box(box)]
    chosen = region if box is None else 0
    tell(
        expand(images),
        lambda scene: scene.describe(chosen),
        Settings(model, device, dtype, threads, proposer),
        json,
        boxes,
    )

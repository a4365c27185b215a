"""`fo1 trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fo1.cli import common
from fo1.cli.inputs import read_boxes
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Settings, Threads
from fo1.errors import Fo1Error


def trace(
    image: Annotated[str, typer.Option("--image", metavar="IMAGE", help="File or URL.")],
    boxes: Annotated[
        str, typer.Option("--boxes", metavar="FILE", help="A JSON list of [x1, y1, x2, y2] in its pixels.")
    ],
    text: Annotated[str, typer.Option("--text", help="The raw instruction.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to write, as safetensors.")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Tokens to generate.")] = 8,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Write down what a model reads and writes for one question, to compare two installations.

    The file holds input_ids (-200 stands for the image, -300 for a region's feature), region_tokens,
    position_ids, first_step_logits and generated_ids.

    \b
    Example:
      fo1 trace --image fruit.jpg --boxes boxes.json --text "Please detect orange in this image." \\
        --max-new-tokens 8 --dtype float32 --out trace.safetensors
    """
    from safetensors import SafetensorError

    from fo1.checkpoints.shards import write_file
    from fo1.trace import trace as run

    given = read_boxes(boxes, [image])
    target = Path(out)
    if target.is_dir() or not target.parent.is_dir():
        raise Fo1Error(f"--out {out} cannot be written: it is a folder, or its folder does not exist")
    loaded = common.load_model(Settings(model, device, dtype, threads))
    tensors = run(loaded.model, image, given, text, max_new_tokens)
    try:
        write_file(target, tensors)
    except (OSError, SafetensorError) as error:
        raise Fo1Error(f"--out {out} cannot be written: {error}") from error
    for name, value in tensors.items():
        typer.echo(f"{name:18} {str(value.dtype).removeprefix('torch.'):8} {tuple(value.shape)}")

"""`fo1 convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of the model.", show_default=False)],
    target: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder to write; must be new or empty.", show_default=False)
    ],
    to: Annotated[
        Literal["native", "released"] | None,
        typer.Option(
            help="Insist on this format; by default the one that SRC is not in.", show_default=False
        ),
    ] = None,
) -> None:
    """Convert a VLM-FO1 checkpoint between the released and the native format.

    No weight changes, and converting back gives the same model. In the native format the base model is a
    plain Hugging Face folder that any tool loads. Needs little memory, and as much disk as the model.

    \b
    Examples:
      fo1 convert VLM-FO1_Qwen2.5-VL-3B-v01 vlm-fo1
      fo1 convert vlm-fo1 again --to released
    """
    from transformers.utils import logging

    from fo1.checkpoints.convert import convert as run

    logging.set_verbosity_error()
    typer.echo(f"{target} holds the model in the {run(source, target, to)} format")

"""`fo1 train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fo1.cli.common import INTERRUPTED
from fo1.cli.training import Out, followed


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A Python file, as in recipes/.", show_default=False)
    ],
    out: Out,
    sharded: Annotated[
        bool, typer.Option("--sharded", help="Split the weights over all processes (FSDP2).")
    ] = False,
) -> None:
    """Run one stage of training; run it again and it goes on.

    The recipe says which model, data and rates. Checkpoints, TensorBoard logs (logs/), drawn samples
    (samples/) and at the end the model (model/, for --model) are below --out.

    \b
    Examples:
      fo1 train recipes/align.py --out runs/align
      torchrun --nproc_per_node 8 -m fo1 train recipes/instruct.py --out runs/instruct --sharded
    """
    from fo1.training.recipe import read_recipe

    read = read_recipe(recipe)
    with followed(read.stage.steps) as watch:
        done = read.run(out, sharded, watch=[watch])
    if not done:
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"the trained model is in {out / 'model'}")

"""`fo1 data`: the commands for training data."""

from __future__ import annotations

import typer

from fo1.cli.data_check import check
from fo1.cli.data_convert import convert
from fo1.cli.data_show import show

data = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@data.callback()
def root(context: typer.Context) -> None:
    """Check, show and make training data.

    \b
    Examples:
      fo1 data convert instances_train2017.json --images train2017 --out train.jsonl
      fo1 data check train.jsonl --images
      fo1 data show train.jsonl 12 --save out.png
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (convert, check, show):
    data.command()(command)

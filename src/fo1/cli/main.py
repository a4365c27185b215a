"""`app`: the commands put together, and every error turned into one line and an exit code."""

from __future__ import annotations

import io
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fo1.cli.ask import ask
from fo1.cli.bench import bench
from fo1.cli.calibrate import calibrate
from fo1.cli.common import FAILED, INTERRUPTED, report
from fo1.cli.convert import convert
from fo1.cli.count import count
from fo1.cli.data import data
from fo1.cli.demo import demo
from fo1.cli.describe import describe
from fo1.cli.detect import detect
from fo1.cli.eval import evaluation
from fo1.cli.export import export
from fo1.cli.fetch_base import fetch_base
from fo1.cli.find import find
from fo1.cli.finetune import finetune
from fo1.cli.judge import judge
from fo1.cli.label import label
from fo1.cli.machines import machines
from fo1.cli.models import models
from fo1.cli.name import name
from fo1.cli.propose import propose
from fo1.cli.read import read
from fo1.cli.serve import serve
from fo1.cli.trace import trace
from fo1.cli.track import track
from fo1.cli.train import train
from fo1.errors import Fo1Error

# typer gives no name to what an unknown option or a missing argument raises, but it is BadParameter's base.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class OneLineErrors(TyperGroup):
    """User errors exit with 2 and Ctrl-C with 130, in one line; anything else is a bug and shows where."""

    def main(self, *args: Any, **extra: Any) -> None:
        """Runs a command line and exits."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A label or file name that the terminal cannot show must not end the program.
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except Fo1Error as error:
            report(error)
            code = FAILED
        except UsageError as error:
            report(_usage(error))
            code = FAILED
        except (typer.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        sys.exit(code)


def _usage(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "fo1"
    return f"{error.format_message()} Try: {command} --help"


app = typer.Typer(
    name="fo1",
    cls=OneLineErrors,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"fo1 {metadata.version('fo1')}")
        except metadata.PackageNotFoundError as error:
            raise Fo1Error("fo1 is not installed, so its version is unknown; run: make setup") from error
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find the things you name in a photo, on a CPU.

    \b
    Examples:
      fo1 detect fruit.jpg "orange, apple" --save out.png
      fo1 count fruit.jpg orange
      fo1 find table.jpg "the left cup" --json -
      fo1 describe fruit.jpg --region 3
      fo1 read street.jpg
      fo1 ask fruit.jpg "What fruit is cut open?"

    \b
    fo1 COMMAND --help says more.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (
    detect,
    find,
    count,
    describe,
    name,
    read,
    ask,
    models,
    bench,
    train,
    finetune,
    trace,
    convert,
):
    app.command()(command)
for other in (label, export, judge, propose, track, serve, demo):
    app.command()(other)
app.command()(calibrate)
app.command()(machines)
app.command("fetch-base")(fetch_base)
app.add_typer(data, name="data")
app.add_typer(evaluation, name="eval")

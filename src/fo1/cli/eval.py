"""`fo1 eval`: the commands for benchmarks."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from fo1.cli.eval_compare import compare
from fo1.cli.eval_list import list_benchmarks
from fo1.cli.eval_run import run

RUN = "run"


class BenchmarkFirst(TyperGroup):
    """`fo1 eval BENCHMARK …` is `fo1 eval run BENCHMARK …`."""

    def parse_args(self, context: Any, words: list[str]) -> list[str]:
        """Puts `run` in front unless the first word is a command or asks for help."""
        if words and words[0] not in self.commands and words[0] != "--help":
            words = [RUN, *words]
        return super().parse_args(context, words)


evaluation = typer.Typer(cls=BenchmarkFirst, invoke_without_command=True, rich_markup_mode=None)


@evaluation.callback()
def root(context: typer.Context) -> None:
    """Measure a model on a benchmark, and compare measurements.

    fo1 eval BENCHMARK is short for fo1 eval run BENCHMARK.

    \b
    Examples:
      fo1 eval list
      fo1 eval fo1-scenes --limit 20
      fo1 eval coco --data coco/ --model my-model/ --out runs/mine
      fo1 eval compare runs/theirs runs/mine
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


evaluation.command(RUN)(run)
evaluation.command("compare")(compare)
evaluation.command("list")(list_benchmarks)

"""`fo1 eval compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli.common import counted
from fo1.cli.eval_run import Data
from fo1.cli.jsonfile import JsonFile
from fo1.cli.options import JsonObject

if TYPE_CHECKING:
    from fo1.evaluation.compare import Comparison, Figure


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="Folder of another.", show_default=False)],
    data: Data = None,
    resamples: Annotated[
        int, typer.Option(min=1, help="Times that the samples are drawn again; AP of many images wants few.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Decides the draws.")] = 0,
    json: JsonObject = None,
) -> None:
    """Two runs of one benchmark side by side, with bootstrap intervals.

    Only samples that both runs were asked count. Intervals hold 95 of 100 values that chance gives, when as
    many samples are drawn with replacement, the same for both runs; a difference whose interval leaves out 0
    is marked.

    \b
    Example:
      fo1 eval compare runs/theirs runs/mine --json -
    """
    from fo1.evaluation.benchmarks import BENCHMARKS
    from fo1.evaluation.compare import compare as run
    from fo1.evaluation.compare import read_pair
    from fo1.evaluation.run import open_samples

    sink = JsonFile(json)
    runs = read_pair(first, second)
    settings = runs[0].settings
    benchmark = BENCHMARKS.get(settings["benchmark"])()
    samples, *_ = open_samples(benchmark, data or Path(settings["data"]), settings["split"])
    with counted("resampling", resamples) as advance:
        found = run(benchmark, samples, runs, resamples, seed, advance)
    sink.write(found.to_json())
    if not sink.is_stdout:
        _print(found, (str(first), str(second)))


def _print(found: Comparison, names: tuple[str, str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("metric", *names, "difference", ""):
        table.add_column(Text(name), justify="left" if name in ("metric", "") else "right", overflow="fold")
    for row in found.rows:
        certain = row.difference.low > 0 or row.difference.high < 0
        cells = [_cell(figure) for figure in (row.first, row.second, row.difference)]
        table.add_row(Text(row.name), *cells, "*" if certain else "")
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    console.print(f"{found.samples} samples, {found.resamples} resamples", soft_wrap=True)


def _cell(figure: Figure) -> str:
    if math.isnan(figure.value):
        return "–"
    return f"{figure.value:.3f}\n{figure.low:.3f} … {figure.high:.3f}"

"""`fo1 eval BENCHMARK`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.jsonfile import JsonFile
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, JsonObject, Model, Settings, Threads, Threshold
from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from fo1.evaluation.report import Report

SHOWN = 5  # failed samples named on the terminal

Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The benchmark's files, see fo1 eval list.", show_default=False),
]


Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="By default the first of those it has.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        help="Keep answers, report and plots here; the same command goes on where it was stopped.",
        show_default=False,
    ),
]
Boxes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A proposer, or a JSON file of boxes by image name, instead of the model's own proposals.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only the first N samples.", show_default=False)
]


def run(
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="See fo1 eval list.", show_default=False)
    ],
    data: Data = None,
    split: Split = None,
    out: Out = None,
    proposals: Boxes = None,
    limit: Limit = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images the model looks at together.")] = 8,
    threshold: Threshold = None,
    json: JsonObject = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Measure a model on a benchmark.

    A sample that fails scores zero and is listed. With --out every answer is kept as it comes, and the report
    is written there: report.md and report.json, plots, and the worst cases with drawn boxes.

    \b
    Examples:
      fo1 eval fo1-scenes --limit 20 --json -
      fo1 eval coco --data coco/ --model my-model/ --out runs/mine
      fo1 eval coco --data coco/ --proposals upn.json --out runs/upn
    """
    sink = JsonFile(json)
    wanted = Wanted(benchmark, data, split, proposals, limit, batch, threshold)
    settings = Settings(model, device, dtype, threads)
    if out is not None:
        report = _measure(wanted, settings, out, write=True)
    else:
        with TemporaryDirectory() as folder:
            report = _measure(wanted, settings, Path(folder), write=False)
    sink.write(report.summary())
    if not sink.is_stdout:
        _print(report, out)
    _complain(report)


@dataclass(frozen=True)
class Wanted:
    """What is to be measured, as the command line says it."""

    benchmark: str
    data: Path | None
    split: str | None
    proposals: str | None
    limit: int | None
    batch: int
    threshold: float | None


def _measure(wanted: Wanted, settings: Settings, out: Path, write: bool) -> Report:
    """Everything that can be wrong with the words is found before the model is loaded."""
    from fo1.evaluation.benchmarks import BENCHMARKS
    from fo1.evaluation.predictions import PredictionFile
    from fo1.evaluation.proposing import Proposals
    from fo1.evaluation.report import Report, prepare
    from fo1.evaluation.run import open_samples, run, settings_of, with_threshold

    benchmark = BENCHMARKS.get(wanted.benchmark)()
    samples, folder, split = open_samples(benchmark, wanted.data, wanted.split)
    prepare(benchmark, write)
    proposals = None if wanted.proposals is None else Proposals.of(wanted.proposals)
    model = with_threshold(common.load_model(settings), wanted.threshold)
    kept = PredictionFile.start(out, settings_of(benchmark, split, folder, samples, model, proposals))
    asked = samples[: wanted.limit]
    with common.counted(wanted.benchmark, len(asked)) as advance:
        run(benchmark, model, asked, kept, proposals, wanted.batch, advance)
    report = Report.of(benchmark, asked, kept)
    if write:
        report.write(out, kept)
    return report


def _print(report: Report, out: Path | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = report.columns()
    table.add_column("metric")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name in report.metrics:
        cells = [figures.get(name, float("nan")) for figures in columns.values()]
        table.add_row(Text(name), *("–" if math.isnan(cell) else f"{cell:.3f}" for cell in cells))
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    console.print(f"{report.samples} samples, {len(report.failures)} failed", soft_wrap=True)
    if out is not None:
        console.print(Text(f"report: {out / 'report.md'}"), soft_wrap=True)


def _complain(report: Report) -> None:
    """Names failed samples on standard error. Raises `Fo1Error` if all failed: then nothing was measured."""
    for sample, message in list(report.failures.items())[:SHOWN]:
        common.note(f"{sample} failed: {' '.join(message.split())}")
    hidden = len(report.failures) - SHOWN
    if hidden > 0:
        common.note(f"… and {hidden} more failed; report.json lists them")
    if len(report.failures) == report.samples:
        raise Fo1Error(f"all {report.samples} samples failed, so nothing was measured")

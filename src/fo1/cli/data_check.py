"""`fo1 data check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fo1.cli.common import FAILED
from fo1.cli.jsonfile import JsonFile

if TYPE_CHECKING:
    from fo1.data.check import Report


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".jsonl or .jsonl.gz.", show_default=False)],
    images: Annotated[
        bool, typer.Option("--images", help="Open every image; otherwise only see whether it is there.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many problems to print; all are counted.")] = 50,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE|-",
            help="Write the report as one JSON object; with - to standard output and nothing else there.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a file of training records, and count what is in it.

    Prints one line for each problem, with file and line. Exits with 2 if there are errors; warnings are odd
    but can be trained on.

    \b
    Examples:
      fo1 data check train.jsonl
      fo1 data check train.jsonl --images --json report.json
    """
    from fo1.data.check import check as run

    sink = JsonFile(json)
    report = run(file, images, limit)
    sink.write(report.to_json())
    if not sink.is_stdout:
        _print(report)
    if report.errors:
        raise typer.Exit(FAILED)


def _print(report: Report) -> None:
    for one in report.found:
        message = " ".join(one.problem.message.split())
        typer.echo(f"{report.path}:{one.line}: {one.level}: {message}")
    hidden = report.counts.total() - len(report.found)
    if hidden:
        typer.echo(f"… and {hidden} more; see --limit")
    for name, value in report.statistics.to_json().items():
        typer.echo(f"{name.replace('_', ' '):24} {_shown(value)}")
    for kind, count in report.counts.most_common():
        typer.echo(f"problem: {kind:15} {count}")
    typer.echo(
        f"{report.lines} lines, {report.bad} of them unusable: "
        f"{report.errors} errors, {report.warnings} warnings"
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {count:g}" for key, count in value.items()) or "–"
    return "–" if value is None else str(value)

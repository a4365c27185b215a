"""Findings for people: a table, the labels that are absent, and the time it took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fo1.detections import Detections
    from fo1.findings import Findings
    from fo1.reading.writing import Writing

NUMBERS = ("score", "x1", "y1", "x2", "y2")


def show(found: Findings, seconds: dict[str, float], title: str | None = None) -> None:
    """Prints findings. Boxes are rounded to whole pixels of the original image."""
    left = [f"not found: {', '.join(found.absent)}"] if found.absent else []
    _print(_table(found, "label"), left, found, seconds, title)


def show_text(found: Writing, seconds: dict[str, float], title: str | None = None) -> None:
    """Prints what is written, as `show` does."""
    _print(_table(found, "text"), [] if len(found) else ["no text found"], found, seconds, title)


def timing(size: tuple[int, int], seconds: dict[str, float]) -> str:
    """For example `640×480 · load 2.10 s · image 0.01 s`; stages that took no time are left out."""
    stages = [f"{stage} {spent:.2f} s" for stage, spent in seconds.items() if spent > 0]
    return " · ".join([f"{size[0]}×{size[1]}", *stages])


def _print(
    table: Table, remarks: Sequence[str], found: Detections, seconds: dict[str, float], title: str | None
) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if title is not None:
        console.print(Text(title, style="bold"), soft_wrap=True)
    if table.row_count:
        console.print(table)
    for remark in remarks:
        console.print(Text(remark), soft_wrap=True)
    console.print(Text(timing(found.image_size, seconds), style="dim"), soft_wrap=True)


def _table(found: Detections, what: str) -> Table:
    """what: the heading of the labels. Regions have a column if there are any."""
    numbered = any(one.region >= 0 for one in found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(what, overflow="fold")
    for name in (*NUMBERS, *(["region"] if numbered else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        numbers = [
            f"{one.score:.2f}",
            *(f"{v:.0f}" for v in one.box),
            *([str(one.region)] if numbered else []),
        ]
        # Text, not str: a label like "[red]" is a label and no markup.
        table.add_row(Text(one.label), *numbers)
    return table

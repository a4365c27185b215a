"""What commands that train share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fo1.training.trainer import Progress

Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="For checkpoints and the model.", show_default=False),
]


@contextmanager
def followed(steps: int) -> Iterator[Callable[[Progress], None]]:
    """The log, and a bar if someone is looking, on standard error; what it gives is told of each step."""
    from rich.console import Console
    from rich.logging import RichHandler
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from fo1.cli.common import need

    need("train", "accelerate", "tensorboard")
    from fo1.training.team import Team

    console = Console(stderr=True)
    shown = RichHandler(console=console, show_path=False, highlighter=None)
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    leads = Team().leads
    logging.basicConfig(
        level=logging.INFO if leads else logging.ERROR, handlers=[shown if console.is_terminal else plain]
    )
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=console, disable=not (leads and console.is_terminal)) as bar:
        task = bar.add_task("training", total=steps)
        yield lambda done: bar.update(
            task,
            completed=done.step,
            description=f"words {done.words:.2f}  regions {done.regions:.2f}",
        )

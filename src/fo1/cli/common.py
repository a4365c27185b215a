"""What every command needs: a model that loads quietly, and one line for an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer

from fo1.cli.options import Settings
from fo1.errors import Fo1Error
from fo1.garbage import uncollected

if TYPE_CHECKING:
    from fo1.pipeline import FO1

FAILED = 2
INTERRUPTED = 130


def load_model(settings: Settings) -> FO1:
    """The model, without the progress bars and notes of the libraries below. Raises `CheckpointError`."""
    with uncollected():  # most of the wait is for these imports
        quieten(settings.threads)
        from fo1.loading import load

        return load(settings.model, device=settings.device, dtype=settings.dtype, proposer=settings.proposer)


def vllm_options(settings: Settings, written: str) -> dict[str, Any]:
    """Arguments of vLLM from --engine and --dtype. Raises `Fo1Error` for options it has no use for."""
    from fo1.vllm.options import parse_options

    if settings.device is not None or settings.threads is not None:
        raise Fo1Error("vLLM chooses device and threads itself; leave --device and --threads out")
    return parse_options(written, settings.dtype)


def load_vllm(model: str, options: dict[str, Any]) -> Any:
    """The model in vLLM, to be asked offline. Raises `Fo1Error`."""
    from fo1.vllm.voting import load_engine

    quieten(None)
    return load_engine(model, options)


def quieten(threads: int | None) -> None:
    """No progress bars and notes of the libraries below. threads: of torch; None for its choice."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)


def need(extra: str, *packages: str) -> None:
    """Raises `Fo1Error` if packages of an optional extra are not installed."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise Fo1Error(f"this needs {', '.join(missing)}; run: pip install 'fo1[{extra}]'")


def report(message: object) -> None:
    """An error as one line on standard error."""
    typer.echo("fo1: error: " + " ".join(str(message).split()), err=True)


def note(message: str) -> None:
    """A remark on standard error, so that standard output holds results only."""
    typer.echo(message, err=True)


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; what it gives is told how many more are done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.update(task, advance=count)

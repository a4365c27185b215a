"""What every command needs: a model that loads quietly, and one line for an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fo1.cli.options import Settings

if TYPE_CHECKING:
    from fo1.pipeline import FO1

FAILED = 2
INTERRUPTED = 130


def load_model(settings: Settings) -> FO1:
    """The model, without the progress bars and notes of the libraries below. Raises `CheckpointError`."""
    import torch
    from transformers.utils import logging

    from fo1.loading import load

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return load(settings.model, device=settings.device, dtype=settings.dtype)


def report(message: object) -> None:
    """An error as one line on standard error."""
    typer.echo("fo1: error: " + " ".join(str(message).split()), err=True)


def note(message: str) -> None:
    """A remark on standard error, so that standard output holds results only."""
    typer.echo(message, err=True)

"""What `fo1 label` and `fo1 judge` have in common: a long run over images that can stop and go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fo1.cli import common
from fo1.cli.common import INTERRUPTED, note
from fo1.cli.options import Settings
from fo1.cli.pace import paced
from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from fo1.labeling.ledger import Ledger, Row
    from fo1.labeling.pipeline import Engine
    from fo1.labeling.sources import Source
    from fo1.pipeline import FO1

LISTED = 20  # failed images named at the end

Batch = Annotated[int, typer.Option(min=1, metavar="N", help="Images the model looks at together.")]
Retry = Annotated[bool, typer.Option("--retry", help="Ask again for images that failed before.")]


def absolute(word: str) -> str:
    """A path that means the same from any folder; URLs stay."""
    return word if "://" in word[:10] or word.startswith("data:") else str(Path(word).expanduser().absolute())


def words_of(settings: Settings) -> dict[str, Any]:
    """What of the command line decides answers; known before anything is loaded."""
    return {"model": settings.model, "dtype": settings.dtype, "proposer": settings.proposer}


def load(settings: Settings, ledger: Ledger) -> FO1:
    """The model, which must be the one that began the ledger. Raises `Fo1Error`."""
    from fo1.labeling.facts import facts
    from fo1.proposals.proposer import key_of

    loaded = common.load_model(settings)
    proposer = loaded.model.proposer if settings.proposer else None
    ledger.settle(facts(loaded, None if proposer is None else key_of(proposer, "")))
    return loaded


def run(
    sources: Sequence[Source],
    ledger: Ledger,
    prepared: Callable[[Ledger], Engine],
    retry: bool,
) -> None:
    """Works through what is left and says what failed; an engine is prepared only if something is left.

    Exits with 130 after Ctrl-C or SIGTERM. Raises `Fo1Error` if all images failed.
    """
    from fo1.labeling.pipeline import keep, waiting
    from fo1.stopping import stop_requests

    todo = waiting(sources, ledger, retry)
    done = len(sources) - len(todo)
    if done:
        note(f"{done} of {len(sources)} images are done already")
    if todo:
        engine, left = prepared(ledger), len(todo)
        with stop_requests() as request, paced(len(sources), done) as advance:

            def tell(rows: Sequence[Row]) -> None:
                nonlocal left
                left -= len(rows)
                for row in rows:
                    if "error" in row:
                        note(f"{row['image']} failed: {row['error']}")
                advance(len(rows))

            keep(engine(todo), ledger, tell, lambda: request.signal is not None)
        if left and request.signal is not None:
            note(f"stopped; {left} of {len(sources)} images are left: the same command goes on")
            raise typer.Exit(INTERRUPTED)
    conclude(ledger)


def conclude(ledger: Ledger) -> None:
    """Says how many images are done, and which failed. Raises `Fo1Error` if all did."""
    note(f"{len(ledger) - len(ledger.failed)} images in {ledger.folder}, {len(ledger.failed)} failed")
    for image in list(ledger.failed)[:LISTED]:
        note(f"  failed: {image}")
    if len(ledger.failed) > LISTED:
        note(
            f"  … and {len(ledger.failed) - LISTED} more; their lines in {ledger.name}-*.jsonl have an error"
        )
    if ledger.failed and len(ledger.failed) == len(ledger):
        raise Fo1Error("all images failed")

"""`fo1 export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fo1.cli.common import note
from fo1.errors import Fo1Error
from fo1.labeling.layout import Layout

Threshold = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        "-t",
        metavar="T|LABEL=T",
        help='Least score, for all or for one label; may be repeated, or "0.4, cat=0.6". '
        "By default the model's own.",
        show_default=False,
    ),
]


def export(
    votes: Annotated[Path, typer.Argument(metavar="DIR", help="What fo1 label wrote.", show_default=False)],
    form: Annotated[Layout, typer.Option("--format", "-f", help="Of the data set.", show_default=False)],
    threshold: Threshold = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="By default DIR/FORMAT.", show_default=False),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the images of yolo, labelme and voc; else link to them.")
    ] = False,
) -> None:
    """Write kept votes as a data set, at any threshold; no model is needed.

    \b
    Examples:
      fo1 export labels --format yolo --threshold 0.4
      fo1 export labels --format coco -t 0.4 -t "cat=0.6" --out coco/
    """
    write(votes, form, threshold, out, copy)


def write(
    votes: Path,
    form: Layout,
    threshold: Sequence[str] | None = None,
    out: Path | None = None,
    copy: bool = False,
) -> None:
    """Writes a data set and says where. Raises `Fo1Error`."""
    from fo1.labeling.export import export as write_data_set
    from fo1.labeling.ledger import Ledger
    from fo1.labeling.placing import Placing
    from fo1.labeling.sources import gather
    from fo1.labeling.votes import Found, Reading

    ledger = Ledger.read(votes, "votes")
    reading = Reading.of(ledger.settings, threshold or ())
    sources = {}
    if form not in (Layout.coco, Layout.jsonl):  # those name images, the others hold them
        try:
            sources = {
                s.id: s for s in gather(ledger.origin["images"], ledger.origin["every"], without=votes)
            }
        except Fo1Error as error:
            note(f"the images are not where they were labelled ({error}); annotations only")
    placing = Placing(sources, copy)
    place = write_data_set(Found(ledger, reading), reading.labels, form, out or votes / form.value, placing)
    note(f"wrote {place}" + (f", without {len(placing.missing)} images not found" if placing.missing else ""))

"""`fo1 propose`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.common import FAILED, note, report
from fo1.cli.options import Device, Dtype, Proposer, Threads
from fo1.cli.pace import paced
from fo1.errors import Fo1Error, ImageError

if TYPE_CHECKING:
    from PIL import Image

    from fo1.labeling.sources import Source
    from fo1.proposals import proposer
    from fo1.proposals.proposal_file import ProposalFile
    from fo1.types import Regions

    Images = Sequence[tuple[Source, Image.Image]]


def propose(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES",
            help="Folders, patterns, files, .txt lists, .tar shards, videos.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Boxes go here, a line per image.", show_default=False
        ),
    ],
    proposer: Proposer = "nanodet",
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Of a video, every N-th frame.")] = 30,
    batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Images the detector looks at together.")
    ] = 1,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Find boxes once, to be looked at ever after with --proposer cached:FILE.

    Images are known by their pixels, so the file serves them under any name or path. Stop with Ctrl-C; the
    same command goes on. An image that cannot be read, or for which there
    are no boxes, is reported and left out; the exit code is then 2.

    \b
    Examples:
      fo1 propose photos --out boxes.jsonl
      fo1 propose photos --proposer nanodet+owlv2:google/owlv2-base-patch16-ensemble -o boxes.jsonl
      fo1 propose photos --proposer "groundingdino:FOLDER?words=cat,dog&min_score=0.2" -o boxes.jsonl
      fo1 detect photos/chickens.jpg chicken --proposer cached:boxes.jsonl
    """
    from fo1.labeling.sources import gather

    sources = gather(images, every)
    common.quieten(threads)
    from fo1.loading import load_proposer
    from fo1.proposals.proposal_file import ProposalFile
    from fo1.proposals.proposer import key_of

    finder = load_proposer(proposer or "nanodet", device=device, dtype=dtype)
    target = ProposalFile(out, key_of(finder, proposer or "nanodet"))
    before, failed = len(target), 0
    with paced(len(sources)) as advance:
        for start in range(0, len(sources), batch):
            some = sources[start : start + batch]
            read = [image for image in map(_read, some) if image is not None]
            new = [(source, image) for source, image in read if image not in target]
            failed += len(some) - len(read) + (find(finder, new, target) if new else 0)
            advance(len(some))
    failures = f"; {failed} failed" if failed else ""
    note(f"{out}: {len(target)} images, {len(target) - before} of them new{failures}")
    if failed:
        raise typer.Exit(FAILED)


def find(finder: proposer.Proposer, images: Images, target: ProposalFile) -> int:
    """Writes down what is found on images; returns how many failed, each of which is reported."""
    try:
        found = _found(finder, images)
    except Fo1Error as error:
        if len(images) > 1:
            return sum(find(finder, [one], target) for one in images)
        report(f"{images[0][0].id}: {error}")
        return 1
    for (source, image), (regions, sources) in zip(images, found, strict=True):
        target.add(source.id, image, regions, sources)
    return 0


def _found(finder: proposer.Proposer, images: Images) -> list[tuple[Regions, tuple[str, ...] | None]]:
    """Boxes of each image, and of a union whose each is."""
    from fo1.proposals.cached import CachedProposals
    from fo1.proposals.union import Union

    if isinstance(finder, CachedProposals):
        # A file from elsewhere may know images by name only.
        return [(finder.of(source.id, image), None) for source, image in images]
    if isinstance(finder, Union):
        return [(one.regions, one.sources) for one in finder.sourced([image for _, image in images])]
    return [(regions, None) for regions in finder.propose([image for _, image in images])]


def _read(source: Source) -> tuple[Source, Image.Image] | None:
    try:
        return source, source.read()
    except ImageError as error:
        report(f"{source.id}: {error}")
        return None

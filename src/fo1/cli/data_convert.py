"""`fo1 data convert`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zlib import crc32

import typer

from fo1.cli.common import note

if TYPE_CHECKING:
    from fo1.data.convert.problems import Problems
    from fo1.data.dialogues import TaskConfig
    from fo1.data.record import Record

Kind = Literal[
    "auto",
    "coco",
    "lvis",
    "objects365",
    "yolo",
    "voc",
    "labelme",
    "refcoco",
    "visual-genome",
    "flickr30k",
    "coco-text",
    "counting",
    "llava",
]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Annotation file or folder.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help=".jsonl or .jsonl.gz to write.", show_default=False),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the images; by default where SOURCE has them.", show_default=False
        ),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="What SOURCE is; by default told from its content.")] = "auto",
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Part of a data set that holds several, such as val.", show_default=False
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Only these, by commas: detect, count, refer, name, visual-prompt, describe, read, caption, "
            "ask.",
            show_default=False,
        ),
    ] = None,
    per_task: Annotated[int, typer.Option(min=1, help="Most questions of one task for an image.")] = 3,
    absent: Annotated[int, typer.Option(min=0, help="Most absent labels in a detection question.")] = 2,
    paraphrases: Annotated[
        float, typer.Option(min=0, max=1, help="Share of questions not in the released model's wording.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Decides all random choices.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first problem.")] = False,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all problems here, a line each.", show_default=False),
    ] = None,
) -> None:
    """Convert annotations of another format into training data.

    Reads COCO, LVIS and Objects365, YOLO, Pascal VOC, LabelMe, RefCOCO/+/g, Visual Genome, Flickr30k
    Entities, COCO-Text, CountBench and PixMo-Count, and LLaVA conversations. Every image gets the questions
    its annotations can answer. What cannot be used is left out, counted and named.

    \b
    Examples:
      fo1 data convert instances_train2017.json --images train2017 --out coco.jsonl
      fo1 data convert my-yolo-folder --split val --out val.jsonl
      fo1 data convert refcoco --images train2014 --tasks refer --out refcoco.jsonl
    """
    from fo1.data.convert.problems import Problems
    from fo1.data.convert.sources import kind_of
    from fo1.data.dialogues import TaskConfig
    from fo1.data.reading import write
    from fo1.errors import Fo1Error

    names = tuple(filter(None, (name.strip() for name in (tasks or "").split(","))))
    config = TaskConfig(tasks=names, absent=absent, per_task=per_task, paraphrases=paraphrases)
    problems = Problems(strict)
    told = kind_of(source) if kind == "auto" else kind
    made = _Made(config, seed)
    count = write(made.records(told, source, images, split, problems), out)
    if log is not None:
        try:
            log.write_text("".join(f"{line}\n" for line in problems.lines()), encoding="utf-8")
        except OSError as error:
            raise Fo1Error(f"--log {log} cannot be written: {error.strerror}") from error
    for line in problems.summary():
        note(f"problem: {line}")
    if not count:
        raise Fo1Error(f"{source}: read as {told}, but nothing to train on came out; {out} is empty")
    typer.echo(
        f"{out}: {count} images with {made.dialogues} dialogues from {told}; "
        f"{made.silent} had nothing to ask, {problems.total} problems"
    )


class _Made:
    """The records of a conversion, and how they count up. silent: images without any dialogue."""

    def __init__(self, config: TaskConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.dialogues = self.silent = 0
        self._ids: Counter[str] = Counter()

    def records(
        self, kind: str, source: Path, images: Path | None, split: str | None, problems: Problems
    ) -> Iterator[Record]:
        """With a bar on standard error as they come."""
        import numpy as np
        from rich.console import Console
        from rich.progress import track

        from fo1.data.convert.sources import read_source
        from fo1.data.dialogues import make_record

        found = read_source(kind, source, images, split, problems)
        console = Console(stderr=True)
        bar = track(found, f"{kind}", console=console, disable=not console.is_terminal, transient=True)
        for image in bar:
            # By name, so that what becomes of one image does not depend on any other.
            rng = np.random.default_rng((self.seed, crc32(image.image.path.encode("utf-8", "replace"))))
            record = make_record(image, kind, rng, self.config)
            if record.dialogues:
                self.dialogues += len(record.dialogues)
                yield self._unique(record)
            else:
                self.silent += 1

    def _unique(self, record: Record) -> Record:
        """With an id of its own: conversations about one image often share one."""
        if record.id is None:
            return record
        self._ids[record.id] += 1
        number = self._ids[record.id]
        return record if number == 1 else replace(record, id=f"{record.id}#{number}")

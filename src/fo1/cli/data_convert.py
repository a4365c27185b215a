"""`fo1 data convert`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from fo1.cli.common import note

T = TypeVar("T")

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


Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="Annotation file or folder.", show_default=False)
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FILE", help=".jsonl or .jsonl.gz to write.", show_default=False),
]
ImageFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of the images; by default where SOURCE has them.", show_default=False
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Part of a data set that holds several, such as val.", show_default=False
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Only these, by commas: detect, count, refer, name, visual-prompt, describe, read, caption, "
        "ask.",
        show_default=False,
    ),
]
Share = Annotated[
    float, typer.Option(min=0, max=1, help="Share of questions not in the released model's wording.")
]
Log = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write all problems here, a line each.", show_default=False),
]


def convert(
    source: Source,
    out: Out,
    images: ImageFolder = None,
    kind: Annotated[Kind, typer.Option(help="What SOURCE is; by default told from its content.")] = "auto",
    split: Split = None,
    tasks: Tasks = None,
    per_task: Annotated[int, typer.Option(min=1, help="Most questions of one task for an image.")] = 3,
    absent: Annotated[int, typer.Option(min=0, help="Most absent labels in a detection question.")] = 2,
    paraphrases: Share = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="Decides all random choices.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first problem.")] = False,
    log: Log = None,
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
    from fo1.data.convert.making import Making
    from fo1.data.convert.problems import Problems
    from fo1.data.convert.sources import kind_of, read_source
    from fo1.data.dialogues import TaskConfig
    from fo1.data.reading import write
    from fo1.errors import Fo1Error

    names = tuple(filter(None, (name.strip() for name in (tasks or "").split(","))))
    config = TaskConfig(tasks=names, absent=absent, per_task=per_task, paraphrases=paraphrases)
    problems = Problems(strict)
    told = kind_of(source) if kind == "auto" else kind
    made = Making(told, config, seed)
    found = read_source(told, source, images, split, problems)
    count = write(made.records(_tracked(found, told)), out)
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


def _tracked(found: Iterable[T], kind: str) -> Iterable[T]:
    """With a bar on standard error as they come."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(found, kind, console=console, disable=not console.is_terminal, transient=True)

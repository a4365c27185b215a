"""`fo1 label`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.export import Threshold, write
from fo1.cli.longrun import Batch, Retry, absolute, load, run, words_of
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Masks, Model, Proposer, Settings, Threads
from fo1.errors import Fo1Error
from fo1.labeling.layout import Layout

if TYPE_CHECKING:
    from fo1.labeling.ledger import Ledger
    from fo1.labeling.pipeline import Engine
    from fo1.labeling.resources import Resources
    from fo1.proposals.proposer import Proposer as FindsBoxes

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGES",
        help="Folders, patterns, files, .txt lists, .tar shards, videos.",
        show_default=False,
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        "-l",
        metavar="LABELS|FILE",
        help='"a, b, c", or a file with one a line.',
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Votes and exports go here.", show_default=False),
]
Form = Annotated[
    Layout | None,
    typer.Option("--format", "-f", help="Export at the end, as fo1 export does.", show_default=False),
]
Every = Annotated[int, typer.Option(min=1, metavar="N", help="Of a video, every N-th frame.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="plain|ray[?…]|vllm[?…]|ray+vllm[?…]",
        help='Work in this process, on Ray with "ray?workers=4&gpus=1", in vLLM, or both; see docs/scale.md.',
    ),
]


def label(
    images: Images,
    labels: Labels,
    out: Out,
    form: Form = None,
    threshold: Threshold = None,
    proposer: Proposer = None,
    masks: Masks = None,
    every: Every = 30,
    batch: Batch = 8,
    retry: Retry = False,
    engine: EngineName = "plain",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Label folders of images, however many.

    All votes are kept in DIR; fo1 export writes them in a tool's format at any threshold, without the model.
    Stop with Ctrl-C; the same command goes on, also after a crash, and does no image twice. An image that
    cannot be read is reported and left out.

    \b
    Examples:
      fo1 label photos --labels "cat, dog" --out labels
      fo1 label "shards/*.tar" drive.mp4 --every 60 -l names.txt -o labels --format yolo
      fo1 label s3://bucket/photos --labels names.txt --out labels --engine "ray?workers=8&gpus=1"
      fo1 export labels --format coco --threshold 0.6
    """
    from fo1.labeling.ledger import Ledger
    from fo1.labeling.resources import Resources
    from fo1.labeling.sources import gather
    from fo1.labeling.votes import Thresholds

    resources, vllm = Resources.split(engine)
    asked = read_labels(labels)
    Thresholds.parse(threshold or (), asked)
    sources = gather(images, every, without=out)
    chosen = Settings(model, device, dtype, threads, proposer)
    settings = {"labels": asked, **words_of(chosen), "masks": masks}
    origin = {"images": [absolute(word) for word in images], "every": every}
    with Ledger.writing(out, "votes", settings, origin, [s.id for s in sources]) as ledger:
        run(sources, ledger, partial(prepare, chosen, asked, masks, resources, vllm, batch), retry)
    if form is not None:
        write(out, form, threshold)


def prepare(
    settings: Settings,
    labels: list[str],
    masks: str | None,
    resources: Resources | None,
    vllm: str | None,
    batch: int,
    ledger: Ledger,
) -> Engine:
    """What labels images. resources: to do so on Ray. vllm: to do so in vLLM, and with which arguments."""
    if vllm is not None:
        return in_vllm(settings, labels, masks, resources, vllm, batch, ledger)
    from fo1.labeling.votes import voter

    if resources is None:
        from fo1.labeling.pipeline import answered

        return partial(answered, ask=voter(load(settings, ledger), labels, masks), batch=batch)
    from fo1.labeling.ray_engine import spread

    own = partial(common.load_model, replace(settings, proposer=None))
    finder = None if settings.proposer is None else partial(load_finder, settings)
    return spread(ledger, own, partial(voter, labels=labels, masks=masks), finder, resources, batch)


def in_vllm(
    settings: Settings,
    labels: list[str],
    masks: str | None,
    resources: Resources | None,
    written: str,
    batch: int,
    ledger: Ledger,
) -> Engine:
    """What labels images in vLLM, here or in each of Ray's workers. Raises `Fo1Error`."""
    load = partial(common.load_vllm, settings.model, common.vllm_options(settings, written))
    finder = None if settings.proposer is None else partial(load_finder, settings)
    from fo1.vllm.voting import facts, voter

    ask = partial(voter, labels=labels, masks=masks)
    if resources is not None:
        from fo1.labeling.ray_engine import spread

        return spread(ledger, load, ask, finder, resources, batch, facts)
    from fo1.labeling.pipeline import answered
    from fo1.proposals.proposer import key_of

    model, found = load(), None if finder is None else finder()
    ledger.settle(facts(model, None if found is None else key_of(found, "")))
    return partial(answered, ask=ask(model), batch=batch, finder=found)


def load_finder(settings: Settings) -> FindsBoxes:
    """The named proposer alone. Raises what its model or file raises."""
    from fo1.loading import load_proposer

    common.quieten(settings.threads)
    return load_proposer(settings.proposer or "", device=settings.device, dtype=settings.dtype)


def read_labels(text: str) -> list[str]:
    """Labels from "a, b, c" or from a file with one a line. Raises `Fo1Error`."""
    from fo1.data.convert.files import read_lines
    from fo1.prompts.tasks import clean_labels

    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a path: labels
        is_file = False
    if not is_file and path.suffix == ".txt":
        raise Fo1Error(f"--labels {text}: no such file")
    return clean_labels(read_lines(path) if is_file else text)

"""`fo1 judge`."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli.common import note
from fo1.cli.longrun import Batch, Retry, load, run, words_of
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Proposer, Settings, Threads
from fo1.labeling.verdicts import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fo1.labeling.annotations import Annotation, Annotations, Judgement
    from fo1.labeling.ledger import Ledger, Row
    from fo1.labeling.pipeline import Engine, Picture

DEFAULT = Limits()

Given = Annotated[
    Path,
    typer.Argument(
        metavar="ANNOTATIONS",
        help="COCO JSON, or a folder of YOLO, LabelMe or Pascal VOC files.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Verdicts and reports go here.", show_default=False),
]
Images = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The images; by default where the annotations say.", show_default=False),
]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of YOLO and VOC folders.", show_default=False)
]
Accept = Annotated[float, typer.Option(min=0, max=1, help="Least confidence of a label that stays.")]
Relabel = Annotated[
    float, typer.Option(min=0, max=1, help="Chance from which a rejected box is the other class.")
]
Score = Annotated[
    float, typer.Option(min=0, max=1, help="Least score of a box that stays; against boxes on nothing.")
]
Missed = Annotated[
    float, typer.Option(min=0, max=1, help="Score from which a thing without a box was missed.")
]


def judge(
    annotations: Given,
    out: Out,
    images: Images = None,
    split: Split = None,
    accept: Accept = DEFAULT.accept,
    relabel: Relabel = DEFAULT.relabel,
    score: Score = DEFAULT.score,
    missed: Missed = DEFAULT.missed,
    proposer: Proposer = None,
    batch: Batch = 8,
    retry: Retry = False,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Judge boxes that anybody made: is each what its label says, what else is it, what was missed?

    Writes DIR/filtered, the same format without rejected boxes and with labels set right, and report.md,
    report.json, sample.png. Stops and goes on as fo1 label; other limits need no new run of the model.

    \b
    Examples:
      fo1 judge found.json --images photos --out judged
      fo1 judge yolo-folder --split val --out judged --accept 0.05
    """
    from fo1.labeling.annotations import Annotations, Judgement, fingerprint
    from fo1.labeling.ledger import Ledger
    from fo1.labeling.rewriting import rewrite

    limits = Limits(accept, relabel, score, missed)
    given = Annotations.of(annotations, images, split)
    by_id = read(given)
    classes = sorted({label for source in by_id.values() for label in source.given.labels})
    chosen = Settings(model, device, dtype, threads, proposer)
    settings = {"annotations": fingerprint(by_id.values()), "classes": classes, **words_of(chosen)}
    with Ledger.writing(out, "verdicts", settings, {"annotations": str(annotations.absolute())}) as ledger:
        run(list(by_id.values()), ledger, partial(prepare, chosen, by_id, classes, batch), retry)
        judgement = Judgement(ledger, limits)
        rewrite(given, judgement, out / "filtered")
        report(judgement, limits, out, by_id)


def read(given: Annotations) -> dict[str, Annotation]:
    """The images by id; says what is wrong with them. Raises `Fo1Error`."""
    from fo1.data.convert.problems import Problems

    problems = Problems()
    sources = given.read(problems)
    for line in problems.summary():
        note(f"problem: {line}")
    return {source.id: source for source in sources}


def prepare(
    settings: Settings, by_id: Mapping[str, Annotation], classes: Sequence[str], batch: int, ledger: Ledger
) -> Engine:
    """What judges images."""
    from fo1.labeling.judging import weigh
    from fo1.labeling.pipeline import answered

    loaded = load(settings, ledger)

    def ask(pictures: Sequence[Picture]) -> list[Row]:
        shown = [(p, by_id[p.id], p.image) for p in pictures if p.image is not None]
        rows = weigh(loaded, [image for *_, image in shown], [one.given for _, one, _ in shown], classes)
        return [
            picture.head() | {"file": one.ref.path} | row
            for (picture, one, _), row in zip(shown, rows, strict=True)
        ]

    return partial(answered, ask=ask, batch=batch)


def report(judgement: Judgement, limits: Limits, out: Path, by_id: Mapping[str, Annotation]) -> None:
    """Writes the reports, and says what came out. Raises `Fo1Error`."""
    from fo1.labeling.report import COLUMNS, write_report

    counts = write_report(judgement, limits, out, lambda id: by_id[id].read())
    total = sum(counts.values(), Counter[str]())
    note(", ".join(f"{total[column]} {column}" for column in COLUMNS) + f"; report: {out / 'report.md'}")

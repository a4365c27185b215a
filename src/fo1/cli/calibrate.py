"""`fo1 calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.common import note
from fo1.cli.jsonfile import JsonFile
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, JsonObject, Model, Settings, Threads

if TYPE_CHECKING:
    from fo1.data.quiz import Quiz
    from fo1.evaluation.temperature import Observed
    from fo1.pipeline import FO1


def calibrate(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Records with labelled boxes, .jsonl or .jsonl.gz.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Write the calibrated model into this new folder.",
            show_default=False,
        ),
    ] = None,
    absent: Annotated[
        int, typer.Option(min=0, metavar="N", help="Labels asked of an image that it does not have.")
    ] = 8,
    json: JsonObject = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Make a model's confidence mean what it says: of the boxes it is 80 % sure of, 80 % are right.

    Finds one temperature, by which the log-odds of all regions are divided, on pictures the model was not
    trained on. What is found stays the same: the model's own threshold moves along. The calibration error
    afterwards is that of each half of the images at the other half's temperature.

    \b
    Examples:
      fo1 calibrate --data held-out.jsonl --out calibrated
      fo1 calibrate --data held-out.jsonl --model runs/parts/model --json -
    """
    sink = JsonFile(json)
    from fo1.data.quiz import quizzes
    from fo1.data.reading import RecordFile
    from fo1.evaluation.temperature import calibrated
    from fo1.saving import check_new, save

    if out is not None:
        check_new(out)
    asked = quizzes(list(RecordFile(data)), absent)
    loaded = common.load_model(Settings(model, device, dtype, threads))
    seen = _observed(loaded, asked)
    better = calibrated(loaded, round(seen.temperature(), 4))
    before, after = seen.error(loaded.settings.temperature), seen.error_elsewhere()
    found = {"temperature": better.settings.temperature, "threshold": better.settings.threshold}
    sink.write({**found, "error before": before, "error after": after, "images": len(asked)})
    if not sink.is_stdout:
        then = "unknown, too few things were found" if after is None else f"{after:.3f}"
        typer.echo(f"temperature {found['temperature']:g}, threshold {found['threshold']:g}")
        typer.echo(f"calibration error {before:.3f} → {then} on {len(asked)} images")
    if out is not None:
        save(better, out)
        note(f"the model is in {out}")


def _observed(model: FO1, asked: Sequence[Quiz]) -> Observed:
    from fo1.evaluation.temperature import Observed

    seen = Observed()
    with common.counted("images", len(asked)) as advance:
        for quiz in asked:
            seen.add(model, quiz)
            advance(1)
    return seen

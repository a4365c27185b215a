"""`fo1 finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fo1.cli.common import INTERRUPTED, note
from fo1.cli.options import DEFAULT_MODEL, Model
from fo1.cli.training import Out, followed


def finetune(
    coco: Annotated[
        Path,
        typer.Option(
            "--coco",
            "--data",
            metavar="PATH",
            help="Annotations: COCO JSON, or what else fo1 data convert reads.",
            show_default=False,
        ),
    ],
    out: Out,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the images; by default where the annotations are.",
            show_default=False,
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    steps: Annotated[int, typer.Option(min=1, help="Steps, of 4 images each.")] = 200,
    held_out: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the images that is only measured with.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Decides all random choices.")] = 0,
) -> None:
    """Teach a model your own boxes, and say what came of it.

    Some of the images are held out; on them the model is measured before and after, with boxes that its own
    proposer finds. Run it again and it goes on where it was interrupted.

    \b
    Examples:
      fo1 finetune --coco annotations.json --images photos --out runs/parts
      fo1 detect new.jpg "washer, hex nut" --model runs/parts/model
    """
    from rich.console import Console
    from rich.table import Table

    with followed(steps) as watch:
        from fo1.data.convert.problems import Problems
        from fo1.training.finetune import Finetune

        work, problems = Finetune(model, steps, held_out, seed), Problems()
        learnt, measured = work.prepare(coco, images, out, problems)
        for line in problems.summary():
            note(f"problem: {line}")
        note(f"{learnt} images to learn from, {measured} to measure with")
        before = work.measure(out, model)
        note("before: " + ", ".join(f"{name} {value:.2f}" for name, value in before.items()))
        if not work.recipe(out).run(out, watch=[watch]):
            raise typer.Exit(INTERRUPTED)
        after = work.measure(out, out / "model")
    table = Table("held-out images", "before", "after")
    for name, value in before.items():
        table.add_row(name, f"{value:.2f}", f"{after[name]:.2f}")
    Console().print(table)
    typer.echo(f"the model is in {out / 'model'}")

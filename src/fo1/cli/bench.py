"""`fo1 bench`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.jsonfile import JsonFile
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, JsonObject, Model, Settings, Threads

if TYPE_CHECKING:
    from fo1.bench.results import Results


def bench(
    image: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Measure with this image; by default a drawn one.", show_default=False
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    json: JsonObject = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Measure how long each stage takes and how much memory, and what the shortcuts are worth.

    Memory is the most that the process has held by the end of a stage. first is an image's first detection;
    further, a question more about it. reuse_K: K questions to an image that is looked at once; relook_K:
    looked at anew for each; reread_K: encoded once, but read anew for each; labels_K: looked at once, and all
    asked in one question. On a busy machine, use --threads 1: several threads wait for each other.

    \b
    Examples:
      fo1 bench
      fo1 bench --image fruit.jpg --threads 2 --json bench.json
    """
    from fo1.images import load_image

    sink = JsonFile(json)
    picture = None if image is None else load_image(image)
    started = time.perf_counter()
    loaded = common.load_model(Settings(model, device, dtype, threads))
    spent = time.perf_counter() - started

    from fo1.bench.run import run

    results = run(loaded, spent, picture, repeat)
    sink.write(results.to_dict())
    if not sink.is_stdout:
        _show(results)


def _show(results: Results) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    stages = Table("stage", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("seconds", "MiB so far"):
        stages.add_column(name, justify="right")
    for stage, spent in results.seconds.items():
        stages.add_row(stage, f"{spent:.4f}", f"{results.memory_mib[stage]:.0f}")
    ratios = Table("compared", box=box.SIMPLE_HEAD, pad_edge=False)
    ratios.add_column("times less", justify="right")
    for name, ratio in results.ratios.items():
        ratios.add_row(name, f"{ratio:.1f}")
    console = Console(highlight=False)
    width, height = results.size
    console.print(
        f"{results.model} · {width}×{height} · {results.regions} regions · {results.threads} threads"
    )
    console.print(stages, ratios)

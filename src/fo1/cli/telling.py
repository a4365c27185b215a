"""What `describe` and `ask` have in common: a text for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from fo1.cli.common import FAILED
from fo1.cli.jsonfile import JsonFile
from fo1.cli.looking import Look, each_image
from fo1.cli.options import Settings

if TYPE_CHECKING:
    from fo1.scene import Scene


def tell(
    images: list[str],
    verb: Callable[[Scene], str],
    settings: Settings,
    json: str | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    top_k: int | None = None,
) -> None:
    """Prints a text for each image, after its name if there are several; exits with 2 if an image failed."""
    sink = JsonFile(json)

    def use(look: Look) -> None:
        text = verb(look.scene)
        sink.write(look.record(text=text))
        if not sink.is_stdout:
            typer.echo(text if len(images) == 1 else f"{look.source}: {text}")

    if each_image(images, settings, use, boxes, top_k):
        raise typer.Exit(FAILED)

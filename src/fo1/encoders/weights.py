"""Loading an encoder's own weight file."""

from __future__ import annotations

import textwrap
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from fo1.errors import CheckpointError


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill `module` from a safetensors file, whatever its precision; the module keeps its own dtype.

    Raises `CheckpointError` if the file is missing, damaged or made for another network.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; scripts/convert_encoders.py makes them")
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        name = type(module).__name__
        reason = textwrap.shorten(str(error), 200)  # torch lists every key, a line each
        raise CheckpointError(f"{path} does not hold the weights of {name}: {reason}") from error

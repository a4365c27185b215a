"""`device_of`: where a model runs."""

from __future__ import annotations

import torch

from fo1.errors import CheckpointError


def device_of(device: str | None) -> torch.device:
    """By default the best there is. Raises `CheckpointError` for one that cannot be used."""
    if device is not None:
        try:
            return torch.empty(0, device=device).device
        except (RuntimeError, AssertionError) as error:
            raise CheckpointError(
                f"device {device!r} cannot be used here: {str(error).splitlines()[0]}"
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

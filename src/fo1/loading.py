"""`load`: a name, a folder or a hub id → a model ready to look."""

from __future__ import annotations

from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fo1.checkpoints.native import bundled, load_native
from fo1.errors import CheckpointError
from fo1.pipeline import FO1

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load(model: str | Path = "fo1-smol", *, device: str | None = None, dtype: str | None = None) -> FO1:
    """Loads a model.

    model: the name of a bundled model, a folder, or a hub id.
    device: "cpu", "cuda", "mps", …; by default the best there is.
    dtype: "float32", "bfloat16" or "float16"; by default what is quick on the device.
    Raises `CheckpointError` naming what is missing or does not fit.
    """
    place = _device(device)
    number = _dtype(dtype, place)
    built, config = load_native(_folder(model), number)
    built.to(place)
    return FO1(built, config)


def _folder(model: str | Path) -> Path:
    known = bundled()
    if str(model) in known:
        return known[str(model)]
    folder = Path(model)
    if folder.exists():
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is a file; a model is a folder with a config.json")
        return folder
    if isinstance(model, Path) or str(model).count("/") != 1:
        raise CheckpointError(
            f"no model {str(model)!r}: not a bundled name ({', '.join(known)}), a folder or a hub id"
        )
    try:
        return Path(snapshot_download(str(model)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"{model!r} is not a folder, and the hub does not give it: {error}") from error


def _device(device: str | None) -> torch.device:
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


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    if dtype is not None:
        if dtype not in DTYPES:
            raise CheckpointError(f"unknown dtype {dtype!r}; known: {', '.join(DTYPES)}")
        return DTYPES[dtype]
    quick = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32

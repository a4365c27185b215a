"""`load`: a name, a folder or a hub id → a model ready to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fo1.checkpoints.bundled import bundled
from fo1.checkpoints.updating import Updating
from fo1.device import device_of
from fo1.errors import CheckpointError
from fo1.garbage import uncollected

if TYPE_CHECKING:
    from fo1.pipeline import FO1
    from fo1.proposals.proposer import Proposer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INT8 = "int8"


def load(
    model: str | Path = "fo1-smol",
    *,
    device: str | None = None,
    dtype: str | None = None,
    proposer: str | Proposer | None = None,
) -> FO1:
    """Loads a model.

    model: the name of a bundled model, a folder, or a hub id.
    device: "cpu", "cuda", "mps", …; by default the best there is.
    dtype: "float32", "bfloat16" or "float16"; by default what is quick on the device. "int8", on a CPU:
        bfloat16, but the language model's weights take half of that, and it writes answers quicker.
    proposer: what finds the boxes instead of the model's own; a text is read as by `load_proposer`.
    Raises `CheckpointError` naming what is missing or does not fit.
    """
    place = device_of(device)
    number = _dtype(dtype, place)
    folder = model_folder(model)
    # Some parts begin with random weights; the caller's random numbers are not ours to draw.
    with uncollected(), torch.random.fork_rng(devices=()):
        updating = Updating(folder, number)
        from fo1.opening import opened  # transformers, which take as long as the updating

        loaded = opened(folder, number, updating, int8=dtype == INT8)
    if proposer is not None:
        loaded.model.proposer = _proposer(proposer, place, number, loaded.model.proposer)
    return loaded.to(place)


def load_proposer(written: str, *, device: str | None = None, dtype: str | None = None) -> Proposer:
    """A proposer alone, without a model that looks at what it finds.

    written: "nanodet", "cached:FILE", "owlv2:HUB_ID", a sum of them such as "nanodet+text", …: see
        docs/proposers.md. device, dtype: as for `load`.
    Raises `RegistryError` for an unknown name, and what its model or file raises.
    """
    place = device_of(device)
    return _proposer(written, place, _dtype(dtype, place))


def _proposer(
    proposer: str | Proposer, device: torch.device, dtype: torch.dtype, own: Proposer | None = None
) -> Proposer:
    if not isinstance(proposer, str):
        return proposer
    from fo1.proposers import named_proposer  # it brings in every family of detectors

    return named_proposer(proposer, device, dtype, own)


def model_folder(model: str | Path) -> Path:
    """Where a model's files are, fetched if need be. model: as for `load`. Raises `CheckpointError`."""
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


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype:
    if dtype is not None:
        if dtype == INT8:
            if device.type != "cpu":
                raise CheckpointError(f"int8 is for the CPU, not for {device.type}; leave dtype out")
            return torch.bfloat16
        if dtype not in DTYPES:
            raise CheckpointError(f"unknown dtype {dtype!r}; known: {', '.join([*DTYPES, INT8])}")
        return DTYPES[dtype]
    quick = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32

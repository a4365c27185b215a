"""`load`: a name, a folder or a hub id → a model ready to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from fo1.checkpoints.config import kind_of
from fo1.checkpoints.int8 import Int8Linear, quantise
from fo1.checkpoints.native import Native, bundled, bundled_proposer, load_native, save_native
from fo1.checkpoints.packed import pack
from fo1.device import device_of
from fo1.errors import CheckpointError
from fo1.garbage import uncollected
from fo1.pipeline import FO1
from fo1.proposals.proposer import Proposer
from fo1.scene import Settings

if TYPE_CHECKING:
    from fo1.checkpoints.attached_config import AttachedConfig

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
    folder = _folder(model)
    # Some parts begin with random weights; the caller's random numbers are not ours to draw.
    with uncollected(), torch.random.fork_rng(devices=()):
        loaded = _loaded(folder, number)
        if dtype == INT8:
            quantise(loaded.model.base.get_decoder())
        elif isinstance(loaded.description, Native):  # small enough to hold its weights twice
            pack(loaded.model.base.get_decoder())
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


def save(model: FO1, folder: str | Path) -> None:
    """Writes a model that `attach` made, or one that was loaded in that format or a native one, into a new
    folder.

    Raises `CheckpointError` if the folder is not empty, and for a model that these formats cannot hold.
    """
    from fo1.checkpoints.attached import Parts, save_attached
    from fo1.checkpoints.compose import stored_parts

    target = check_new(folder)
    if isinstance(model.description, Native):
        target.mkdir(parents=True, exist_ok=True)
        save_native(model.model, model.description, target)
        return
    if not isinstance(model.description, Parts):
        raise CheckpointError(f"{model.name} is not an attached model; its files are those it came from")
    if any(isinstance(part, Int8Linear) for part in model.model.base.modules()):
        raise CheckpointError(
            f"{model.name} was loaded as int8, which loses digits; load it without to save it"
        )
    parts = stored_parts(model.model, model.description)
    target.mkdir(parents=True, exist_ok=True)
    save_attached(target, parts)


def check_new(folder: str | Path) -> Path:
    """Raises `CheckpointError` if no model can be saved there because something else is."""
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} exists and is not an empty folder; choose another")
    return target


def settings_of(config: AttachedConfig) -> Settings:
    """A model that writes its answers reports what it names; one that scores regions, what is likely."""
    threshold = 0.5 if config.vocabulary.kind == "dynamic" else 0.0
    return Settings(config.name, threshold, config.temperature)


def _proposer(
    proposer: str | Proposer, device: torch.device, dtype: torch.dtype, own: Proposer | None = None
) -> Proposer:
    if not isinstance(proposer, str):
        return proposer
    from fo1.proposers import named_proposer  # it brings in every family of detectors

    return named_proposer(proposer, device, dtype, own)


def _loaded(folder: Path, dtype: torch.dtype) -> FO1:
    """The format is what `config.json` says, never what the folder is called."""
    kind = kind_of(folder)
    if kind == "native":
        built, native = load_native(folder, dtype)
        config = native.config
        return FO1(built, Settings(config.name, config.threshold, config.temperature), native)
    # Imported late: they bring in every family of vision-language models, which the bundled one does without.
    from fo1.checkpoints.attached import load_attached_parts
    from fo1.checkpoints.compose import compose
    from fo1.checkpoints.released import load_parts

    parts = load_parts(folder, dtype) if kind == "released" else load_attached_parts(folder, dtype)
    return FO1(compose(parts, bundled_proposer()), settings_of(parts.config), parts)


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

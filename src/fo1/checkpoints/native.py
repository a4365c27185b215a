"""Native checkpoints: a folder with `config.json`, the plug-in's weights and the encoders' weights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fo1.checkpoints import low_rank
from fo1.checkpoints.base import load_base
from fo1.checkpoints.build import build_model
from fo1.checkpoints.bundled import LOW_RANK, PLUGIN, bundled
from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.fetching import fetch_base
from fo1.checkpoints.meta import Undrawn
from fo1.checkpoints.updating import Updating
from fo1.encoders.nanodet import NanoDet
from fo1.encoders.weights import load_weights
from fo1.errors import CheckpointError
from fo1.model import RegionModel
from fo1.proposals.nanodet import NanoDetProposer
from fo1.reading.reader import FINDER, RECOGNISER, Reader

AUXILIARY, PRIMARY = "nanodet.safetensors", "efficientnet_lite2.safetensors"
LEXICON = "names.txt"


def plugin_parts(model: RegionModel) -> dict[str, nn.Module]:
    """What a native checkpoint stores of its own, by key prefix."""
    parts: dict[str, nn.Module] = {"encoder": model.encoder, "splice": model.splice}
    return parts if model.lexicon is None else {**parts, "lexicon": model.lexicon}


@dataclass(frozen=True, eq=False)
class Native:
    """What a native checkpoint says of a loaded model.

    folder: where it came from. factors: the low-rank updates that were merged into the base, by layer.
    """

    folder: Path
    config: ModelConfig
    factors: Mapping[str, Tensor]


def plugin_state(model: RegionModel) -> dict[str, Tensor]:
    """The plug-in's weights by key; low-rank factors of the base's layers, if any, included."""
    state = {
        f"{prefix}.{key}": value
        for prefix, part in plugin_parts(model).items()
        for key, value in part.state_dict().items()
    }
    return state | {LOW_RANK + key: value for key, value in low_rank.factors(model.base).items()}


def save_plugin(model: RegionModel, folder: Path) -> None:
    """Writes the plug-in in half precision."""
    _save_half(plugin_state(model), folder / PLUGIN)


def save_native(model: RegionModel, native: Native, folder: Path) -> None:
    """Writes a whole native checkpoint: the base is only named in it, and the encoders are as they came."""
    native.config.write(folder)
    if model.lexicon is not None:
        (folder / LEXICON).write_text("".join(f"{name}\n" for name in model.lexicon.names), encoding="utf-8")
    read = () if model.reader is None else (FINDER, RECOGNISER)
    for file in (AUXILIARY, PRIMARY, *read):
        shutil.copyfile(native.folder / file, folder / file)
    merged = {LOW_RANK + key: value for key, value in native.factors.items()}
    _save_half(plugin_state(model) | merged, folder / PLUGIN)


def _save_half(state: Mapping[str, Tensor], path: Path) -> None:
    save_file({key: value.detach().cpu().half().contiguous() for key, value in state.items()}, path)


def load_plugin(
    model: RegionModel, folder: Path, updated: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Reads the plug-in into the model and merges low-rank factors into the base; returns the factors.

    updated: the base's weights with the factors merged, as far as they are known already.
    Raises `CheckpointError` listing missing, extra or misshapen tensors.
    """
    path = folder / PLUGIN
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} has no {PLUGIN}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or damaged: {error}") from error
    factors = {key.removeprefix(LOW_RANK): value for key, value in state.items() if key.startswith(LOW_RANK)}
    wanted = {key: value for key, value in plugin_state(model).items() if not key.startswith(LOW_RANK)}
    given = {key: value for key, value in state.items() if not key.startswith(LOW_RANK)}
    wrong = [f"missing {key}" for key in sorted(wanted.keys() - given.keys())]
    wrong += [f"unexpected {key}" for key in sorted(given.keys() - wanted.keys())]
    wrong += [
        f"{key} is {tuple(given[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & given.keys())
        if given[key].shape != wanted[key].shape
    ]
    wrong += [LOW_RANK + misfit for misfit in low_rank.misfits(model.base, factors)]
    if wrong:
        raise CheckpointError(f"{path} does not fit its config: {'; '.join(wrong)}")
    for prefix, part in plugin_parts(model).items():
        part.load_state_dict({key: given[f"{prefix}.{key}"].float() for key in part.state_dict()})
    low_rank.merge(model.base, factors, updated or {})
    return factors


def bundled_proposer() -> NanoDetProposer:
    """The bundled detector on its own, for models whose encoders propose nothing."""
    (folder, *_) = bundled().values()
    detector = NanoDet()
    load_weights(detector, folder / AUXILIARY)
    return NanoDetProposer(detector.eval().requires_grad_(False))


def load_native(
    folder: Path, dtype: torch.dtype, updating: Updating | None = None
) -> tuple[RegionModel, Native]:
    """A model and what its folder says of it. updating: of this folder. Raises `CheckpointError`."""
    config = ModelConfig.read(folder)
    with Undrawn():
        model = load_untrained(folder, config, dtype)
    model.reader = Reader.of(folder, dtype)
    factors = load_plugin(model, folder, None if updating is None else updating.weights())
    return finish(model, dtype), Native(folder, config, factors)


def load_untrained(folder: Path, config: ModelConfig, dtype: torch.dtype) -> RegionModel:
    """Base and encoders with their weights, everything else fresh, in float32."""
    base, tokenizer = load_base(fetch_base(config.base), dtype)
    try:
        model = build_model(config, base, tokenizer, read_lexicon(folder))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}/config.json does not describe a model: {error}") from error
    load_weights(model.get_submodule("auxiliary"), folder / AUXILIARY)
    load_weights(model.get_submodule("primary.network"), folder / PRIMARY)
    return model.eval()


def read_lexicon(folder: Path) -> tuple[str, ...]:
    """The names a model knows well, one a line; none without the file. Raises `CheckpointError`."""
    try:
        lines = (folder / LEXICON).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{folder / LEXICON} cannot be read: {error}") from error
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def finish(model: RegionModel, dtype: torch.dtype) -> RegionModel:
    """Encoders in `dtype`; the small trained parts stay float32, where they cost nothing."""
    model.get_submodule("auxiliary").to(dtype)
    model.get_submodule("primary").to(dtype)
    return model.eval().requires_grad_(False)

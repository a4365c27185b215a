"""`opened`: a folder of weights, in whatever format → a model ready to look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from fo1.checkpoints.config import kind_of
from fo1.checkpoints.int8 import quantise
from fo1.checkpoints.native import bundled_proposer, load_native
from fo1.checkpoints.packed import pack
from fo1.checkpoints.updating import Updating
from fo1.pipeline import FO1
from fo1.settings import Settings

if TYPE_CHECKING:
    from fo1.checkpoints.attached_config import AttachedConfig


def opened(folder: Path, dtype: torch.dtype, updating: Updating, int8: bool = False) -> FO1:
    """The format is what `config.json` says, never what the folder is called. updating: of this folder.

    int8: the language model's weights take half of bfloat16's memory. Raises `CheckpointError`.
    """
    kind = kind_of(folder)
    if kind == "native":
        model, native = load_native(folder, dtype, updating)
        if not int8:
            pack(model.base.get_decoder())  # small enough to hold its weights twice
        config = native.config
        made = FO1(
            model, Settings(config.name, config.threshold, config.temperature, config.compares), native
        )
    else:
        made = _attached(folder, dtype, kind == "released")
    if int8:
        quantise(made.model.base.get_decoder())
    return made


def _attached(folder: Path, dtype: torch.dtype, released: bool) -> FO1:
    # Imported late: they bring in every family of vision-language models, which the bundled one does without.
    from fo1.checkpoints.attached import load_attached_parts
    from fo1.checkpoints.compose import compose
    from fo1.checkpoints.released import load_parts

    parts = load_parts(folder, dtype) if released else load_attached_parts(folder, dtype)
    return FO1(compose(parts, bundled_proposer()), settings_of(parts.config), parts)


def settings_of(config: AttachedConfig) -> Settings:
    """A model that writes its answers reports what it names; one that scores regions, what is likely."""
    threshold = 0.5 if config.vocabulary.kind == "dynamic" else 0.0
    return Settings(config.name, threshold, config.temperature)

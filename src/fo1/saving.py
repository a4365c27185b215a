"""`save`: a model → a folder from which it can be loaded."""

from __future__ import annotations

from pathlib import Path

from fo1.checkpoints.attached import Parts, save_attached
from fo1.checkpoints.compose import stored_parts
from fo1.checkpoints.int8 import Int8Linear
from fo1.checkpoints.native import Native, save_native
from fo1.errors import CheckpointError
from fo1.pipeline import FO1


def save(model: FO1, folder: str | Path) -> None:
    """Writes a model that `attach` made, or one that was loaded in that format or a native one, into a new
    folder.

    Raises `CheckpointError` if the folder is not empty, and for a model that these formats cannot hold.
    """
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

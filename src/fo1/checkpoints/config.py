"""What a native checkpoint's `config.json` says; every size that parts do not imply stands here once."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from fo1.errors import CheckpointError

FORMAT, ATTACHED = "fo1", "attached"
RELEASED = "omchat_qwen2_5_vl"


@dataclass(frozen=True)
class ModelConfig:
    """A native model.

    base: name of the base language model (see `checkpoints/base.py`). capacity: regions one prompt can hold.
    detector_side: NanoDet's longest input side, pixels. classifier_sides: the image pyramid's.
    proposals: keyword arguments of `Selection`. hidden: the connector's. pointer_rank, lora_rank: see there.
    gallery_names, gallery_width, gallery_examples: sizes of the `Gallery` of the lexicon's first names; no
    names, no gallery.
    pointing: see `ChatFormat`.
    threshold: region score from which `detect` reports a region. temperature: divides pointer logits.
    compares: see `Settings`.
    """

    name: str
    base: str = "smollm2-135m-instruct"
    capacity: int = 100
    detector_side: int = 416
    classifier_sides: tuple[int, ...] = (256, 448, 704)
    canonical_side: float = 200.0
    proposals: dict[str, float] = field(
        default_factory=lambda: {"min_score": 0.03, "iou": 0.65, "top_k": 100}
    )
    hidden: int = 1024
    dropout: float = 0.3
    embedding_rms: float = 0.1
    pointer_rank: int = 256
    lora_rank: int = 16
    gallery_names: int = 0
    gallery_width: int = 256
    gallery_examples: int = 4
    pointing: str = ""
    threshold: float = 0.5
    temperature: float = 1.0
    compares: bool = False

    @classmethod
    def read(cls, folder: Path) -> ModelConfig:
        """From `folder/config.json`. Raises `CheckpointError` naming what is missing or does not fit."""
        path = folder / "config.json"
        values = read_json(path)
        if values.pop("format", None) != FORMAT:
            raise CheckpointError(
                f'{path} does not say "format": "{FORMAT}", so this is not a native checkpoint'
            )
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or "name" not in values:
            raise CheckpointError(f"{path}: unknown keys {unknown}" if unknown else f"{path} has no name")
        if isinstance(values.get("classifier_sides"), list):
            values["classifier_sides"] = tuple(values["classifier_sides"])
        plain = cls(name="")
        odd = [
            f"{key} = {value!r}" for key, value in values.items() if not _alike(value, getattr(plain, key))
        ]
        if odd:
            raise CheckpointError(f"{path}: these values are of the wrong kind: {', '.join(odd)}")
        return cls(**values)

    def write(self, folder: Path) -> None:
        """To `folder/config.json`."""
        values: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


Kind = Literal["native", "attached", "released"]


def kind_of(folder: Path) -> Kind:
    """Which format a folder's `config.json` is of; if it says nothing, native, whose reader complains."""
    try:
        values = read_json(folder / "config.json")
    except CheckpointError:
        return "native"
    if values.get("model_type") == RELEASED:
        return "released"
    return "attached" if values.get("kind") == ATTACHED else "native"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises `CheckpointError` saying what is wrong with it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent} is not a model folder: it has no {path.name}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} must hold a JSON object, not a {type(values).__name__}")
    return values


def _alike(value: Any, default: Any) -> bool:
    """Is a JSON value of the kind of the default? An integer will do where a fraction may stand."""
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)

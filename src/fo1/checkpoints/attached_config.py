"""What the `config.json` of a region encoder attached to a vision-language model says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

from fo1.checkpoints.config import ATTACHED, FORMAT, read_json
from fo1.errors import CheckpointError
from fo1.prompts.builder import ChatFormat
from fo1.regions.encoder import Fusion, FusionConfig, Position

VOCABULARIES = ("static", "dynamic")

T = TypeVar("T")


@dataclass(frozen=True)
class AuxiliaryConfig:
    """The auxiliary encoder.

    kind: the name of a registered encoder, or "none". options: what its factory takes.
    """

    kind: str = "davit"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RegionsConfig:
    """The region encoder, as far as the two vision encoders do not imply it.

    fusion: see there. pyramid: SimpleFP with `pyramid_width` channels a level on the deepest tapped map;
    without it, all tapped maps are pooled. bins: of RoIAlign. hidden: the connector's.
    """

    fusion: FusionConfig = FusionConfig()
    pyramid: bool = True
    pyramid_width: int = 512
    bins: int = 7
    hidden: int = 2048


@dataclass(frozen=True)
class VocabularyConfig:
    """kind: static: region names have fixed rows (released); dynamic: a region's name means its region.

    capacity: regions one prompt can hold.
    """

    kind: str = "static"
    capacity: int = 100


@dataclass(frozen=True)
class AttachedConfig:
    """A vision-language model with a region encoder.

    family: the base's `model_type`. base: a folder below the checkpoint's, or a hub id.
    family_options: what the family's factory takes besides the base and its processor.
    pixels: least and most of an image, for the base's image processor; None leaves its own.
    chat: fields of `ChatFormat` in which the model's turns differ from its family's.
    temperature: divides the log-odds of regions' scores; `fo1 calibrate` finds it.
    """

    name: str
    family: str
    base: str = "base"
    family_options: dict[str, Any] = field(default_factory=dict)
    pixels: tuple[int, int] | None = None
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    regions: RegionsConfig = RegionsConfig()
    vocabulary: VocabularyConfig = VocabularyConfig()
    chat: dict[str, Any] = field(default_factory=dict)
    temperature: float = 1.0

    @classmethod
    def read(cls, folder: Path) -> AttachedConfig:
        """From `folder/config.json`. Raises `CheckpointError` naming what is missing or does not fit."""
        path = folder / "config.json"
        values = read_json(path)
        if values.pop("format", None) != FORMAT or values.pop("kind", None) != ATTACHED:
            raise CheckpointError(f'{path} does not say "format": "{FORMAT}" and "kind": "{ATTACHED}"')
        try:
            return cls.from_json(values)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AttachedConfig:
        """From what JSON can say. Raises `CheckpointError`."""
        parts = {key: _table(values.get(key, {}), key) for key in ("auxiliary", "regions", "vocabulary")}
        auxiliary, regions, vocabulary = parts.values()
        plain = {key: value for key, value in values.items() if key not in parts and key != "pixels"}
        kind = auxiliary.pop("kind", AuxiliaryConfig.kind)
        names = {f.name for f in fields(FusionConfig)}
        fusion = {key: regions.pop(key) for key in names & regions.keys()}
        model: AttachedConfig = _filled(cls(name="", family=""), plain, "", required=("name", "family"))
        config = cls(
            **{f.name: getattr(model, f.name) for f in fields(cls) if f.name in plain},
            pixels=_pixels(values.get("pixels")),
            auxiliary=_filled(AuxiliaryConfig(options=auxiliary), {"kind": kind}, "auxiliary."),
            regions=_filled(
                RegionsConfig(fusion=_filled(FusionConfig(), fusion, "regions.")), regions, "regions."
            ),
            vocabulary=_filled(VocabularyConfig(), vocabulary, "vocabulary."),
        )
        config.check()
        return config

    def to_json(self) -> dict[str, Any]:
        """What `config.json` says."""
        values = asdict(self)
        values["auxiliary"] = {"kind": self.auxiliary.kind, **values["auxiliary"]["options"]}
        values["regions"] = {**values["regions"].pop("fusion"), **values["regions"]}
        return {"format": FORMAT, "kind": ATTACHED, **values}

    def write(self, folder: Path) -> None:
        """To `folder/config.json`."""
        text = json.dumps(self.to_json(), indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")

    def check(self) -> None:
        """Raises `CheckpointError` for values that no model has."""
        fusion = self.regions.fusion
        choices = (
            ("regions.fusion", fusion.fusion, get_args(Fusion)),
            ("regions.position", fusion.position, get_args(Position)),
            ("vocabulary.kind", self.vocabulary.kind, VOCABULARIES),
        )
        for key, value, known in choices:
            if value not in known:
                raise CheckpointError(f"{key} = {value!r}; known: {', '.join(known)}")
        counts = {
            "regions.position_width": fusion.position_width,
            "regions.pyramid_width": self.regions.pyramid_width,
            "regions.bins": self.regions.bins,
            "regions.hidden": self.regions.hidden,
            "vocabulary.capacity": self.vocabulary.capacity,
        }
        for key, count in counts.items():
            if count < 1:
                raise CheckpointError(f"{key} = {count}; it must be 1 or more")
        unknown = sorted(self.chat.keys() - {f.name for f in fields(ChatFormat)})
        if unknown:
            raise CheckpointError(f"unknown keys {', '.join(f'chat.{key}' for key in unknown)}")
        if self.auxiliary.kind == "none" and fusion.fusion != "primary":
            raise CheckpointError(f"regions.fusion = {fusion.fusion!r}, but there is no auxiliary encoder")


def _table(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CheckpointError(f"{key} must be an object, not {value!r}")
    return dict(value)


def _pixels(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(n) is int for n in value):
        raise CheckpointError(f"pixels must be two whole numbers, not {value!r}")
    least, most = value
    return least, most


def _filled(default: T, values: Mapping[str, Any], where: str, required: tuple[str, ...] = ()) -> T:
    """The default with these values, each of which must be of the kind of the default's."""
    known = {f.name for f in fields(default)}  # type: ignore[arg-type]
    wrong = [f"unknown key {where}{key}" for key in values if key not in known]
    wrong += [f"missing {where}{key}" for key in required if key not in values]
    wrong += [
        f"{where}{key} = {value!r} is of the wrong kind"
        for key, value in values.items()
        if key in known and type(value) is not type(getattr(default, key))
    ]
    if wrong:
        raise CheckpointError("; ".join(wrong))
    kept = {f.name: getattr(default, f.name) for f in fields(default)}  # type: ignore[arg-type]
    return type(default)(**{**kept, **values})

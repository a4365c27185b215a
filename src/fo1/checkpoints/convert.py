"""Released checkpoint ↔ native folder, shard by shard; every tensor keeps its bits."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig

from fo1.checkpoints.attached import AUXILIARY, ENCODER, SPLICE, make_auxiliary
from fo1.checkpoints.attached_config import AttachedConfig
from fo1.checkpoints.config import kind_of, read_json
from fo1.checkpoints.released import released_state, skeleton, stored_state
from fo1.checkpoints.released_config import EMBEDDING, FAMILY, ReleasedConfig, Shapes
from fo1.checkpoints.released_values import released_values
from fo1.checkpoints.renaming import Part, ours_to_released, released_to_ours
from fo1.checkpoints.shards import (
    FLOATS,
    INDEX,
    Shards,
    Stored,
    misfits,
    shortened,
    write_file,
    write_shards,
)
from fo1.encoders.davit import DaViT
from fo1.errors import CheckpointError

Format = Literal["native", "released"]

KEPT = "released_config.json"
BASE = "base"
FILES: dict[Part, str] = {"encoder": ENCODER, "auxiliary": AUXILIARY}
# What lies beside the weights and belongs to the base: tokenizer, image processor, generation settings.
BESIDE = (".json", ".txt", ".jinja")


def convert(source: Path, target: Path, to: Format | None = None) -> Format:
    """Writes the model in `source` to the folder `target` in the other format, and returns which.

    to: insists on a format. The target must not exist, or be empty; it appears only when it is complete.
    Raises `CheckpointError` if the source is in neither format, in `to` already, or does not fit its config.
    """
    kind = kind_of(source)
    if kind == "native":
        raise CheckpointError(f"{source} is neither a released checkpoint nor a native attached model")
    wanted: Format = "native" if kind == "released" else "released"
    if to not in (None, wanted):
        raise CheckpointError(f"{source} is in the {to} format already")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} exists and is not an empty folder; name another or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        (_to_native if wanted == "native" else _to_released)(source, ready)
        if target.exists():
            target.rmdir()
        ready.rename(target)
    return wanted


def _to_native(source: Path, target: Path) -> None:
    shards = Shards.of_folder(source)
    config = ReleasedConfig.read(source, _shapes(shards))
    _check(source, shards, released_state(_modules(config.base, config.model)))
    parts: dict[Part, dict[str, str]] = {"base": {}, "encoder": {}, "auxiliary": {}}
    for key in shards:
        part, ours = released_to_ours(key)
        parts[part][ours] = key
    for part, name in FILES.items():
        write_file(target / name, {ours: shards.load(key) for ours, key in parts[part].items()})
    base, keys = target / BASE, parts["base"]
    base.mkdir()
    sizes = {ours: shards[key].bytes for ours, key in keys.items()}
    write_shards(base, sizes, lambda ours: shards.load(keys[ours]))
    copy_beside(source, base)
    config.base.dtype = FLOATS[shards[EMBEDDING].dtype]
    config.base.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    config.base.save_pretrained(base)
    shutil.copyfile(source / "config.json", target / KEPT)
    replace(config.model, base=BASE).write(target)


def _to_released(source: Path, target: Path) -> None:
    config = AttachedConfig.read(source)
    folder = source / config.base
    _check_convertible(config, source)
    base = _base_config(folder)
    modules = _modules(base, config)
    davit = modules["auxiliary"]
    if not isinstance(davit, DaViT):
        raise _unfit(source, [f"its auxiliary encoder is {config.auxiliary.kind}, not a DaViT"])
    stored: dict[Part, Shards] = {"base": Shards.of_folder(folder)}
    stored |= {part: Shards([source / name]) for part, name in FILES.items()}
    for part, module in modules.items():
        _check(folder if part == "base" else source / FILES[part], stored[part], stored_state(module))
    places = {ours_to_released(part, key): (part, key) for part, shards in stored.items() for key in shards}
    found = {key: stored[part][ours] for key, (part, ours) in places.items()}
    _write_config(source, target, base, config, davit, _shapes(found))

    def load(key: str) -> Tensor:
        part, ours = places[key]
        return stored[part].load(ours)

    write_shards(target, {key: one.bytes for key, one in found.items()}, load)
    copy_beside(folder, target)


def _base_config(folder: Path) -> Qwen2_5_VLConfig:
    values = read_json(folder / "config.json")
    if values.get("model_type") != FAMILY:
        raise CheckpointError(f"{folder} is a {values.get('model_type')}, not a {FAMILY}")
    try:
        return Qwen2_5_VLConfig.from_dict(values)
    except (StrictDataclassError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}/config.json does not describe a {FAMILY}: {error}") from error


def _write_config(
    source: Path,
    target: Path,
    base: Qwen2_5_VLConfig,
    config: AttachedConfig,
    davit: DaViT,
    shapes: Shapes,
) -> None:
    """The config the model was released with, or one made up, if it says what the model is."""
    kept = source / KEPT
    values = read_json(kept) if kept.is_file() else released_values(base, config, davit, shapes)
    odd = _odd(ReleasedConfig.of(values, shapes), base, config, davit)
    if odd:
        where = f"{kept} says otherwise; remove it" if kept.is_file() else "it has no words for them"
        raise CheckpointError(f"{source} has {', '.join(odd)} that the released format would lose: {where}")
    (target / "config.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _odd(said: ReleasedConfig, base: Qwen2_5_VLConfig, config: AttachedConfig, davit: DaViT) -> list[str]:
    """Keys in which a released config describes another model than this one."""
    there, here = said.model.to_json(), config.to_json()
    compared = ("family_options", "pixels", "regions", "vocabulary", "chat")
    odd = [key for key in compared if there[key] != here[key]]
    with torch.device("meta"):
        other = make_auxiliary(said.model.auxiliary)
    if not isinstance(other, DaViT) or (other.config, other.sizing) != (davit.config, davit.sizing):
        odd.append("auxiliary")
    for part in ("text_config", "vision_config"):
        told, real = said.base.to_dict()[part], base.to_dict()[part]
        odd += [f"{part}.{key}" for key in told if key != "dtype" and told[key] != real.get(key)]
    return odd


def _check_convertible(config: AttachedConfig, source: Path) -> None:
    """Raises `CheckpointError` if it is not the one kind of model that the released format knows."""
    reasons = []
    if config.family != FAMILY:
        reasons.append(f"its base is a {config.family}, not a {FAMILY}")
    if config.vocabulary.kind != "static" or (source / SPLICE).is_file():
        reasons.append("its region tokens are not the base's own")
    if not (source / config.base).is_dir():
        reasons.append(f"it does not hold its base ({config.base})")
    if reasons:
        raise _unfit(source, reasons)


def _unfit(source: Path, reasons: list[str]) -> CheckpointError:
    return CheckpointError(f"{source} cannot be written in the released format: {'; '.join(reasons)}")


def _modules(base: Qwen2_5_VLConfig, config: AttachedConfig) -> dict[Part, nn.Module]:
    model, auxiliary, encoder = skeleton(base, config)
    return {"base": model, "auxiliary": auxiliary, "encoder": encoder}


def _check(where: Path, found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> None:
    wrong = misfits(found, wanted)
    if wrong:
        raise CheckpointError(f"{where} does not fit its config: {shortened(wrong)}")


def _shapes(found: Mapping[str, Stored]) -> dict[str, tuple[int, ...]]:
    return {key: stored.shape for key, stored in found.items()}


def copy_beside(source: Path, target: Path) -> None:
    """Copies what lies beside the weights and is neither `config.json` nor an index."""
    for file in source.iterdir():
        if file.is_file() and file.suffix in BESIDE and file.name not in ("config.json", INDEX):
            shutil.copyfile(file, target / file.name)

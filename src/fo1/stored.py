"""Encoded images in files: one safetensors file each, readable only by the model that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.errors import SceneError
from fo1.fingerprint import fingerprint
from fo1.model import Encoded, RegionModel
from fo1.types import Regions
from fo1.vlm.family import Seen, Sight

FORMAT = "fo1 scene 1"
_HEADER = "fo1"
_OUTPUTS = ("pooler_output", "deepstack_features")


def store(path: str | Path, encoded: Encoded, model: RegionModel, name: str) -> None:
    """Writes one image as a model, called `name`, has encoded it: regions and all that questions need.

    Pixels and what was read of prompts about it are left out. Raises `SceneError` if it cannot be written.
    """
    regions, sight = encoded.regions, encoded.sight
    header = {
        "format": FORMAT,
        "model": name,
        "weights": fingerprint(model),
        "image_size": regions.image_size,
        "labels": regions.labels,
        "input_size": sight.maps.frame.input_size,
        "offset": sight.maps.frame.offset,
    }
    tensors = {
        "boxes": torch.tensor(regions.xyxy),
        "scores": torch.tensor(regions.scores),
        "embeddings": encoded.embeddings,
        "evidence": encoded.evidence,
        "image_tokens": encoded.image_tokens,
        "sight.ids": torch.tensor(sight.ids),
        **{f"sight.inputs.{key}": value for key, value in sight.inputs.items()},
    }
    if sight.outputs is not None:
        for field in _OUTPUTS:
            tensors |= _flat(f"sight.outputs.{field}", sight.outputs.get(field))
    # Copies, because tensors that share memory cannot be written.
    own = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    try:
        save_file(own, path, {_HEADER: json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise SceneError(f"{path} cannot be written: {error}") from error


def restore(path: str | Path, model: RegionModel, name: str) -> Encoded:
    """Reads what `store` wrote, for the same model.

    Raises `SceneError` for a file that is missing, broken or no scene, and for one of another model.
    """
    header, tensors = _read(Path(path))
    if header["weights"] != fingerprint(model):
        raise SceneError(
            f"{path} was saved with {header['model']!r}, and {name!r} has other weights, or the same in "
            "another number format; restore it with that model, or look at the image again"
        )
    size = tuple(header["image_size"])
    labels = None if header["labels"] is None else tuple(header["labels"])
    regions = Regions(tensors.pop("boxes").numpy(), tensors.pop("scores").numpy(), size, labels)
    tensors = {key: value.to(model.device) for key, value in tensors.items()}
    outputs = {field: _nested(f"sight.outputs.{field}", tensors) for field in _OUTPUTS}
    frame = Frame(size, tuple(header["input_size"]), tuple(header["offset"]))
    inputs = "sight.inputs."
    sight = Sight(
        tuple(tensors["sight.ids"].tolist()),
        FeatureMaps((), (), frame),
        Seen(**outputs) if outputs["pooler_output"] is not None else None,
        {key.removeprefix(inputs): value for key, value in tensors.items() if key.startswith(inputs)},
    )
    return Encoded(regions, tensors["embeddings"], tensors["evidence"], sight, tensors["image_tokens"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise SceneError(f"there is no file {path}; scene.save(path) writes one")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise SceneError(f"{path} is broken or no saved scene: {error}") from error
    if header.get("format") != FORMAT:
        raise SceneError(f"{path} is no scene that this version can read; look at the image again")
    return header, tensors


def _flat(name: str, value: Any) -> dict[str, Tensor]:
    """A tensor, a list of them, or a list of lists, by names with numbers; nothing of None."""
    if isinstance(value, Tensor):
        return {name: value}
    parts = (_flat(f"{name}.{index}", part) for index, part in enumerate(value or ()))
    return {key: tensor for part in parts for key, tensor in part.items()}


def _nested(name: str, tensors: Mapping[str, Tensor]) -> Any:
    """What `_flat` took apart."""
    if name in tensors:
        return tensors[name]
    parts: list[Any] = []
    while any(key.startswith(f"{name}.{len(parts)}") for key in tensors):
        parts.append(_nested(f"{name}.{len(parts)}", tensors))
    return parts or None

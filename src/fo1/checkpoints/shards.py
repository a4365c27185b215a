"""`Shards`: the tensors of a checkpoint folder, known by their headers and read one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fo1.checkpoints.config import read_json
from fo1.errors import CheckpointError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 2 << 30

FLOATS = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""What weights are stored as, by safetensors' name."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies and what its header says."""

    file: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Size of weights, which are floating-point numbers."""
        return FLOATS[self.dtype].itemsize * torch.Size(self.shape).numel()


class Shards(Mapping[str, Stored]):
    """What is stored, by key, in the order of the files. Only headers are read until `load`.

    files: safetensors files; no tensor may be in two of them.
    Raises `CheckpointError` for a file that is missing, truncated or no safetensors file.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._stored: dict[str, Stored] = {}
        for file in files:
            for key, stored in _header(file):
                if key in self._stored:
                    raise CheckpointError(f"{key} is in both {self._stored[key].file} and {file}")
                self._stored[key] = stored

    @classmethod
    def of_folder(cls, folder: Path) -> Shards:
        """One `model.safetensors`, or the shards that an index lists; both must agree on every tensor."""
        index = folder / INDEX
        if not index.is_file():
            return cls([folder / SINGLE])
        places = _places(index)
        names = sorted(set(places.values()))
        absent = [name for name in names if not (folder / name).is_file()]
        if absent:
            raise CheckpointError(f"{folder} lacks shards that its index lists: {', '.join(absent)}")
        shards = cls(folder / name for name in names)
        found = {key: stored.file.name for key, stored in shards.items()}
        wrong = sorted(key for key in places.keys() | found.keys() if places.get(key) != found.get(key))
        if wrong:
            raise CheckpointError(f"{index} does not describe the shards; {shortened(wrong)}")
        return shards

    def __getitem__(self, key: str) -> Stored:
        return self._stored[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def shape(self, key: str) -> tuple[int, ...]:
        """A tensor's shape. Raises `CheckpointError` if it is not there."""
        if key not in self._stored:
            raise CheckpointError(f"missing {key}")
        return self._stored[key].shape

    def load(self, key: str) -> Tensor:
        """One tensor as stored. Raises `CheckpointError` if it cannot be read."""
        ((_, tensor),) = self.read([key])
        return tensor

    def read(self, keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Tensors as stored, file by file. They lie in the mapped files, so that memory is needed only for
        what is changed, and the system may give back what is not in use.

        Raises `CheckpointError` if one cannot be read.
        """
        by_file: dict[Path, list[str]] = {}
        for key in keys:
            by_file.setdefault(self._stored[key].file, []).append(key)
        for file, inside in by_file.items():
            try:
                with safe_open(file, framework="pt") as opened:
                    for key in inside:
                        yield key, opened.get_tensor(key)
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{file} cannot be read: {error}") from error


def write_shards(
    folder: Path, sizes: Mapping[str, int], tensor: Callable[[str], Tensor], limit: int = SHARD_BYTES
) -> None:
    """Writes `model.safetensors`, or shards and their index, holding one shard at a time.

    sizes: bytes of each tensor, in the order to write. limit: bytes of a shard; a larger tensor fills one.
    """
    shards: list[list[str]] = [[]]
    filled = 0
    for key, size in sizes.items():
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(key)
        filled += size
    count = len(shards)
    names = [SINGLE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for name, keys in zip(names, shards, strict=True):
        write_file(folder / name, {key: tensor(key) for key in keys})
    if count > 1:
        places = {key: name for name, keys in zip(names, shards, strict=True) for key in keys}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": places}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def write_file(path: Path, tensors: dict[str, Tensor]) -> None:
    """One safetensors file, marked as PyTorch's as transformers expects."""
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata={"format": "pt"})
    path.chmod(path.parent.stat().st_mode & 0o666)  # some versions of safetensors write for the owner only


def misfits(found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> list[str]:
    """Why stored tensors cannot stand for the wanted ones, a few words each; none if they can."""
    wrong = [f"missing {key}" for key in wanted if key not in found]
    wrong += [f"unexpected {key}" for key in found if key not in wanted]
    for key in (key for key in wanted if key in found):
        stored, shape = found[key], tuple(wanted[key].shape)
        if stored.shape != shape:
            wrong.append(f"{key} is {stored.shape}, not {shape}")
        if wanted[key].is_floating_point() and stored.dtype not in FLOATS:
            wrong.append(f"{key} is of type {stored.dtype}, not a floating-point number")
    return wrong


def shortened(items: list[str], most: int = 20) -> str:
    """A list in one line, its end only counted if it is long."""
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def _places(index: Path) -> dict[str, str]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(_plain(name) for name in places.values()):
        raise CheckpointError(f"{index} needs a weight_map from tensors to file names")
    return places


def _plain(name: Any) -> bool:
    """Is it the name of a file beside the index, and not a path to elsewhere?"""
    return isinstance(name, str) and bool(name) and Path(name).name == name


def _header(file: Path) -> Iterator[tuple[str, Stored]]:
    if not file.is_file():
        raise CheckpointError(f"{file.parent} has no {file.name}")
    try:
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():
                part = opened.get_slice(key)
                yield key, Stored(file, tuple(part.get_shape()), part.get_dtype())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is truncated or damaged: {error}") from error

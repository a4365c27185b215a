"""Scene records: what stays of a scene once the frozen encoders have seen it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fo1.regions.encoder import RegionFeatures

FIELDS = ("primary", "auxiliary", "evidence", "boxes")


@dataclass(frozen=True)
class SceneRecord:
    """One scene, encoded.

    features: of N regions and, as the last row, the whole image.
    overlap: (N, G) IoU with the G named objects. names: of those objects.
    objects: (G, 4) their boxes as fractions of the image.
    uncertain: names of what is there without a box; never asked for.
    half: 0 or 1, which half of the scenes it belongs to.
    """

    features: RegionFeatures
    overlap: Tensor
    names: tuple[str, ...]
    objects: Tensor
    uncertain: tuple[str, ...] = ()
    half: int = 0

    @property
    def count(self) -> int:
        """Regions, the whole image aside."""
        return len(self.features) - 1


def save_records(records: Sequence[SceneRecord], path: Path) -> None:
    """Writes records as one safetensors shard, features in float16; appears whole or not at all."""
    tensors = {field: torch.cat([getattr(r.features, field) for r in records]).half() for field in FIELDS}
    tensors["overlap"] = torch.cat([r.overlap.flatten() for r in records]).half()
    tensors["objects"] = torch.cat([r.objects for r in records])
    index = [{"rows": len(r.features), "names": r.names, "uncertain": r.uncertain} for r in records]
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"scenes": json.dumps(index)})
    partial.rename(path)


def load_records(path: Path) -> Iterator[SceneRecord]:
    """The records of one shard; features stay float16 until a batch is made."""
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        index = json.loads(file.metadata()["scenes"])
    row = cell = thing = 0
    for number, scene in enumerate(index):
        rows, things = scene["rows"], len(scene["names"])
        cells = (rows - 1) * things
        yield SceneRecord(
            RegionFeatures(**{field: tensors[field][row : row + rows] for field in FIELDS}),
            tensors["overlap"][cell : cell + cells].reshape(rows - 1, things).float(),
            tuple(scene["names"]),
            tensors["objects"][thing : thing + things],
            tuple(scene["uncertain"]),
            number % 2,
        )
        row, cell, thing = row + rows, cell + cells, thing + things

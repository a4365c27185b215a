"""Proposals from a file: made once, by any detector, and read ever after.

A proposer sees pixels, not file names, so the cache is looked up by what an image shows (`pixel_key`): the
same pixels are found under any name or path. Names stand in the file for people and `CachedProposals.named`.
Two decoders may read the same JPEG a little differently; then the key differs too, and the cache must be
written anew on that machine, or asked by name.

The file is JSON, boxes in xyxy pixels of the upright image:

    {"coffee.jpg": {"pixels": "0f3c…", "boxes": [[12, 5, 90, 80.5]], "scores": [0.9], "labels": ["cup"]}}

`scores` (1 by default) and `labels` may be left out, and so may `pixels`, if boxes are asked for by name.
A list of `{"image": "coffee.jpg", "bboxes": [[…]], "scores": […]}` is read as well, as of some benchmarks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fo1.errors import RegionError
from fo1.images import load_image
from fo1.proposals.proposer import Selection
from fo1.types import Regions

Record = Mapping[str, Any]


def pixel_key(image: Image.Image) -> str:
    """What stands for an image's size and RGB pixels in a cache: 32 hexadecimal digits."""
    digest = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
    digest.update(image.convert("RGB").tobytes())
    return digest.hexdigest()


class CachedProposals:
    """A `Proposer` that reads its boxes from a file.

    path: see above. selection: which of the stored boxes are kept; by default the best hundred, best first.
    Raises `RegionError` if the file cannot be read.
    """

    def __init__(self, path: str | Path, selection: Selection | None = None) -> None:
        self.path = Path(path)
        self.selection = Selection() if selection is None else selection
        self._records = read_cache(self.path)
        self._names = {record["pixels"]: name for name, record in self._records.items() if "pixels" in record}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        """Are there boxes for a file of this name?"""
        return name in self._records

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each image. Raises `RegionError` for an image that the file does not know."""
        return [self.named(self._name(image), image.size) for image in images]

    def named(self, name: str, image_size: tuple[int, int]) -> Regions:
        """Selected boxes stored for a file name. Raises `RegionError` if there are none or not four each."""
        if name not in self._records:
            raise RegionError(f"{self.path} has no boxes for {name}")
        record = self._records[name]
        try:
            regions = Regions.of(record["boxes"], image_size, record.get("scores"), record.get("labels"))
        except (RegionError, TypeError) as error:
            raise RegionError(f"{self.path}, {name}: {error}") from error
        return self.selection(regions)

    def _name(self, image: Image.Image) -> str:
        if not self._names and self._records:
            raise RegionError(
                f"{self.path} knows images by name only; `key_by_pixels` writes one that proposers can use"
            )
        name = self._names.get(pixel_key(image))
        if name is None:
            width, height = image.size
            raise RegionError(
                f"{self.path} has no boxes for this {width}×{height} image; add them with `write_cache`"
            )
        return name


def read_cache(path: Path) -> dict[str, Record]:
    """Records by file name, from either layout. Raises `RegionError` naming what is wrong with the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RegionError(f"{path} cannot be read as a proposal cache: {error}") from error
    records: dict[str, Record] = {}
    for name, record in _rows(data, path):
        if not isinstance(record, dict) or "boxes" not in record:
            raise RegionError(f"{path}: the entry of {name!r} has no boxes")
        if records.setdefault(name, record) != record:
            raise RegionError(f"{path}: {name!r} comes twice, with different boxes")
    return records


def _rows(data: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        yield from data.items()
    elif isinstance(data, list) and all(
        isinstance(row, dict) and {"image", "bboxes"} <= row.keys() for row in data
    ):
        for row in data:
            scores = {"scores": row["scores"]} if "scores" in row else {}
            yield str(row["image"]), {"boxes": row["bboxes"], **scores}
    else:
        raise RegionError(
            f'{path} must hold {{"name.jpg": {{"boxes": […]}}}} or [{{"image": …, "bboxes": […]}}]'
        )


def write_cache(path: str | Path, entries: Iterable[tuple[str, Image.Image, Regions]]) -> None:
    """Writes the boxes of images (name, upright pixels, boxes) so that `CachedProposals` finds them again.

    Raises `RegionError` if a name comes twice.
    """
    records: dict[str, Record] = {}
    for name, image, regions in entries:
        if name in records:
            raise RegionError(f"{name!r} comes twice; give each image its own name")
        records[name] = {
            "pixels": pixel_key(image),
            "boxes": regions.xyxy.tolist(),
            "scores": regions.scores.tolist(),
            **({} if regions.labels is None else {"labels": list(regions.labels)}),
        }
    _dump(path, records)


def key_by_pixels(source: str | Path, folder: str | Path, target: str | Path) -> None:
    """Copies a cache that goes by name into one that goes by pixels too; the images lie in `folder`.

    Raises `RegionError` for a cache, and `ImageError` for an image, that cannot be read.
    """
    records = read_cache(Path(source))
    keyed = {
        n: {"pixels": pixel_key(load_image(Path(folder) / n)), **record} for n, record in records.items()
    }
    _dump(target, keyed)


def _dump(path: str | Path, records: Mapping[str, Record]) -> None:
    """One image a line."""
    lines = [
        f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(record)}" for name, record in records.items()
    ]
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

"""Proposals from a file: made once, by any detector, and read ever after.

A proposer sees pixels, not file names, so the cache is looked up by what an image shows (`pixel_key`): the
same pixels are found under any name or path. Names stand in the file for people and `CachedProposals.named`.
Two decoders may read the same JPEG a little differently; then the key differs too, and the cache must be
written anew on that machine. Records without `pixels` can only be asked by name.

The file is JSON lines (`ProposalFile` writes them) or one JSON object, boxes in xyxy pixels of the upright
image:

    {"image": "cup.jpg", "pixels": "0f3c…", "boxes": [[12, 5, 90, 80.5]], "scores": [0.9], "labels": ["cup"]}
    {"cup.jpg": {"pixels": "0f3c…", "boxes": [[12, 5, 90, 80.5]], "scores": [0.9], "labels": ["cup"]}}

`scores` (1 by default) and `labels` may be left out, and so may `pixels`, if boxes are asked for by name. A
line with `made_by` says how the others came about. `bboxes` is read as `boxes`, also in one JSON list of such
lines, as of some benchmarks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fo1.errors import RegionError
from fo1.fingerprint import file_digest
from fo1.proposals.proposer import Selection
from fo1.types import Regions

Record = Mapping[str, Any]
Row = tuple[str, str | None]  # name and pixels: images of one name are different ones if their pixels are
MADE_BY = "made_by"


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
        self._named = {row[0]: row for row in self._records}
        self._shown = {row[1]: row for row in self._records if row[1] is not None}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        """Are there boxes for a file of this name?"""
        return name in self._named

    @property
    def key(self) -> str:
        """Tells apart files and thresholds in another cache."""
        return f"cached {file_digest(self.path)} {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each image. Raises `RegionError` for an image that the file does not know."""
        rows = [self._row(image) for image in images]
        return [self._selected(row, image.size) for row, image in zip(rows, images, strict=True)]

    def of(self, path: str | Path, image: Image.Image) -> Regions:
        """Selected boxes of an image: those stored for its pixels, else those for its path or name alone.

        Raises `RegionError` if there are none, also if those of its name are of other pixels.
        """
        names = (str(path), Path(path).name)
        row = self._shown.get(pixel_key(image)) if self._shown else None
        row = row or next(((name, None) for name in names if (name, None) in self._records), None)
        if row is None:
            other = " as it is now; make them again with fo1 propose" if any(n in self for n in names) else ""
            raise RegionError(f"{self.path} has no boxes for {path}{other}")
        return self._selected(row, image.size)

    def named(self, name: str, image_size: tuple[int, int]) -> Regions:
        """Selected boxes stored for a file name; of several images of that name, those of the last.

        Raises `RegionError` if there are none or not four numbers each.
        """
        if name not in self:
            raise RegionError(f"{self.path} has no boxes for {name}")
        return self._selected(self._named[name], image_size)

    def _selected(self, row: Row, image_size: tuple[int, int]) -> Regions:
        record = self._records[row]
        try:
            regions = Regions.of(record["boxes"], image_size, record.get("scores"), record.get("labels"))
        except (RegionError, TypeError) as error:
            raise RegionError(f"{self.path}, {row[0]}: {error}") from error
        return self.selection(regions)

    def _row(self, image: Image.Image) -> Row:
        if not self._shown and self._records:
            raise RegionError(
                f"{self.path} knows images by name only; "
                f"fo1 propose IMAGES --proposer cached:{self.path} --out FILE writes one that can be used"
            )
        row = self._shown.get(pixel_key(image))
        if row is None:
            width, height = image.size
            raise RegionError(
                f"{self.path} has no boxes for this {width}×{height} image; add them with fo1 propose"
            )
        return row


def read_cache(path: Path) -> dict[Row, Record]:
    """Records from any layout. Raises `RegionError` naming what is wrong with the file."""
    try:
        data = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RegionError(f"{path} cannot be read as a proposal cache: {error}") from error
    records: dict[Row, Record] = {}
    for name, record in _rows(data, path):
        if not isinstance(record, dict) or "boxes" not in record:
            raise RegionError(f"{path}: the entry of {name!r} has no boxes")
        pixels = record.get("pixels")
        row = name, None if pixels is None else str(pixels)
        if records.setdefault(row, record) != record:
            raise RegionError(f"{path}: {name!r} comes twice, with different boxes")
    return records


def _parsed(text: str) -> Any:
    """One document, or a list of those on each line; a last line that was never finished is left out."""
    try:
        data: Any = json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.split("\n")[:-1] if line.strip()]
        if not lines:
            raise
        return [json.loads(line) for line in lines]
    is_line = isinstance(data, dict) and ("image" in data or MADE_BY in data)
    return [data] if is_line else data


def _rows(data: Any, path: Path) -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        yield from data.items()
        return
    rows: list[Any] = [row for row in data if MADE_BY not in row] if isinstance(data, list) else [None]
    if not all(isinstance(row, dict) and "image" in row and row.keys() & {"boxes", "bboxes"} for row in rows):
        raise RegionError(
            f'{path} must hold lines {{"image": …, "boxes": […]}} or {{"name.jpg": {{"boxes": […]}}}}'
        )
    for row in rows:
        kept = {key: row[key] for key in ("pixels", "boxes", "scores", "labels") if key in row}
        yield str(row["image"]), {"boxes": row["bboxes"], **kept} if "bboxes" in row else kept

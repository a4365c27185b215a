"""`SOURCES`: the formats that can be read, and `kind_of`: which of them a path is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fo1.data.convert import (
    coco,
    coco_text,
    counting,
    flickr30k,
    labelme,
    llava,
    refcoco,
    visual_genome,
    voc,
    yolo,
)
from fo1.data.convert.annotated import Annotated
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError


@dataclass(frozen=True)
class Source:
    """A format. read: (path, images, [split,] problems=) → images. what: is expected on disk.

    has_splits: does `read` take a split?
    """

    read: Callable[..., Iterator[Annotated]]
    what: str
    has_splits: bool = False


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "coco": Source(coco.read_coco, coco.WHAT),
        "lvis": Source(coco.read_coco, coco.WHAT),
        "objects365": Source(coco.read_coco, coco.WHAT),
        "yolo": Source(yolo.read_yolo, yolo.WHAT, has_splits=True),
        "voc": Source(voc.read_voc, voc.WHAT, has_splits=True),
        "labelme": Source(labelme.read_labelme, labelme.WHAT),
        "refcoco": Source(refcoco.read_refcoco, refcoco.WHAT, has_splits=True),
        "visual-genome": Source(visual_genome.read_visual_genome, visual_genome.WHAT),
        "flickr30k": Source(flickr30k.read_flickr30k, flickr30k.WHAT, has_splits=True),
        "coco-text": Source(coco_text.read_coco_text, coco_text.WHAT, has_splits=True),
        "counting": Source(counting.read_counting, counting.WHAT),
        "llava": Source(llava.read_llava, llava.WHAT),
    }
)

_HEAD = 1 << 16  # bytes of a JSON file that tell what it is

# Keys that all occur in the head of a JSON file of a kind; the first kind that fits is it.
_KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("llava", ("conversations",)),
    ("labelme", ("shapes",)),
    ("counting", ("question", "bboxes")),
    ("visual-genome", ("regions", "phrase")),
    ("coco-text", ("cats", "anns")),
    ("coco-text", ("imgs",)),
    ("coco-text", ("anns",)),
    ("lvis", ("neg_category_ids",)),
    ("coco", ("images",)),
    ("coco", ("annotations",)),
    ("coco", ("categories",)),
)


def read_source(
    kind: str, path: Path, images: Path | None, split: str | None, problems: Problems
) -> Iterator[Annotated]:
    """Reads a path as one of `SOURCES`. Raises `RecordError`, also for a split where there are none."""
    source = SOURCES[kind]
    if split is None:
        return source.read(path, images, problems=problems)
    if not source.has_splits:
        raise RecordError(f"--split {split}: {kind} files hold one split each; give the file of the split")
    return source.read(path, images, split, problems=problems)


def kind_of(path: Path) -> str:
    """Which of `SOURCES` a file or folder is, by its names and first lines. Raises `RecordError`."""
    if not path.exists():
        raise RecordError(f"{path}: no such file or folder; check the path")
    kind = _folder_kind(path) if path.is_dir() else _file_kind(path)
    if kind is None:
        expected = "; ".join(f"{name}: {source.what}" for name, source in SOURCES.items())
        raise RecordError(f"{path}: cannot tell what this is; say so by --kind. Known are {expected}")
    return kind


def _folder_kind(path: Path) -> str | None:
    def has(*patterns: str) -> bool:
        return any(next(path.glob(pattern), None) is not None for pattern in patterns)

    if has("Sentences"):
        return "flickr30k"
    if has("refs(*).p"):
        return "refcoco"
    if has("region_descriptions.json"):
        return "visual-genome"
    if has("data.yaml", "classes.txt", "labels/*.txt", "labels/*/*.txt"):
        return "yolo"
    if has("Annotations/*.xml", "*.xml"):
        return "voc"
    first = next((p for p in sorted(path.rglob("*.json")) if _file_kind(p) == "labelme"), None)
    return None if first is None else "labelme"


def _file_kind(path: Path) -> str | None:
    suffix = {".yaml": "yolo", ".yml": "yolo", ".p": "refcoco", ".pkl": "refcoco", ".jsonl": "llava"}
    if path.suffix in suffix:
        return suffix[path.suffix]
    if path.suffix != ".json":
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    keys = set(re.findall(r'"(\w+)"\s*:', head))
    return next((kind for kind, needed in _KEYS if keys.issuperset(needed)), None)

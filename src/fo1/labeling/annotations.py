"""`Annotations`: labelled boxes that anybody made, in a format of theirs, as images to be judged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.objects import Object
from fo1.data.convert.problems import Problems
from fo1.data.convert.sources import kind_of, read_source
from fo1.data.images import ImageFiles
from fo1.data.record import ImageRef
from fo1.errors import Fo1Error
from fo1.labeling.judging import Labelled
from fo1.labeling.ledger import Ledger, Row
from fo1.labeling.rewriting import KINDS
from fo1.labeling.verdicts import Limits, Verdict, verdicts

Key = tuple[str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Annotation:
    """One image and the boxes on it: a `Source`. file: its path, as the data set says it."""

    id: str
    ref: ImageRef
    given: Labelled

    def read(self) -> Image.Image:
        return ImageFiles().open(self.ref)


@dataclass(frozen=True)
class Annotations:
    """A data set on disk. kind: one of `KINDS`. images, split: None where the data set says it."""

    kind: str
    path: Path
    images: Path | None = None
    split: str | None = None

    @classmethod
    def of(cls, path: Path, images: Path | None = None, split: str | None = None) -> Annotations:
        """Raises `Fo1Error` for what is no data set of labelled boxes."""
        kind = kind_of(path)
        if kind not in KINDS:
            raise Fo1Error(f"{path} is {kind}, which has no labelled boxes; give one of {', '.join(KINDS)}")
        return cls(kind, path, images, split)

    def read(self, problems: Problems) -> list[Annotation]:
        """Images in their order. Raises `Fo1Error` if none can be used."""
        found = list(map(_annotation, read_source(self.kind, self.path, self.images, self.split, problems)))
        if not any(len(one.given.labels) for one in found):
            raise Fo1Error(f"{self.path}: read as {self.kind}, but no image with a labelled box came out")
        return found


def _annotation(one: Annotated) -> Annotation:
    rows = [i for i, label in enumerate(one.labels) if label is not None]
    labels = tuple(label for label in one.labels if label is not None)
    return Annotation(one.id or one.image.path, one.image, Labelled(one.boxes[rows], labels))


def fingerprint(sources: Iterable[Annotation]) -> str:
    """Tells apart data sets by their images and boxes."""
    digest = hashlib.blake2b(digest_size=8)
    for one in sources:
        digest.update(f"{one.id} {one.given.labels}".encode("utf-8", "replace") + one.given.boxes.tobytes())
    return digest.hexdigest()


def key_of(label: str, box: Iterable[float]) -> Key:
    """What tells a box in a file from others on its image."""
    return label, tuple(float(np.float32(value)) for value in box)


@dataclass(frozen=True)
class Judged:
    """The verdicts on one image. missed: things without a box, `{"label", "box", "score"}`."""

    id: str
    file: str
    size: tuple[int, int]
    boxes: list[list[float]]
    verdicts: list[Verdict]
    missed: list[Row]
    by_key: Mapping[Key, Verdict] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Row, limits: Limits) -> Judged:
        found = verdicts(row, limits)
        keys = {key_of(v.label, box): v for v, box in zip(found, row["boxes"], strict=True)}
        missed = [thing for thing in row["missed"] if thing["score"] >= limits.missed]
        return cls(
            row["image"], row["file"], (row["size"][0], row["size"][1]), row["boxes"], found, missed, keys
        )


class Judgement:
    """All verdicts of a run, which decide what becomes of each object (see `fo1.labeling.rewriting`)."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        self.images = {row["image"]: Judged.of(row, limits) for row in ledger if "error" not in row}

    def size(self, image: str) -> tuple[int, int] | None:
        return self.images[image].size if image in self.images else None

    def label(self, image: str, thing: Object) -> str | None:
        if thing.box is None or thing.ignored:
            return thing.label
        verdict = self.images[image].by_key.get(key_of(thing.label, thing.box))
        return thing.label if verdict is None else verdict.final

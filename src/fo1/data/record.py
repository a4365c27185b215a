"""`Record`: one image, its regions, and the dialogues about them; a line of a data file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from fo1.errors import Fo1Error
from fo1.types import FloatArray

Role = Literal["system", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)
TAR = ".tar#"
_URLS = ("http://", "https://", "data:")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = float(np.finfo(np.float32).max)


class RecordError(Fo1Error):
    """A record, or a file of records, that cannot be used."""


@dataclass(frozen=True)
class Turn:
    """What one side says. text: refers to regions as `<regionN>`; N counts the record's boxes from 0."""

    role: Role
    text: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise RecordError(f"key 'role' must be one of {', '.join(ROLES)}, got {_short(self.role)}")
        if not _is_text(self.text):
            raise RecordError(f"key 'text' must be a string of whole characters, got {_short(self.text)}")


Dialogue = tuple[Turn, ...]


@dataclass(frozen=True)
class ImageRef:
    """Where an image is.

    path: a file, a member of a tar shard (`shards/0001.tar#a/b.jpg`), or an http(s) or data URL.
    size: (width, height) in pixels after EXIF, so that boxes can be checked without opening it.
    root: folder from which a relative path starts; by default the current one. In a data file it is the
        file's own folder, and is not written.
    """

    path: str
    size: tuple[int, int] | None = None
    root: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise RecordError(f"key 'image' must be a path or URL, got {_short(self.path)}")
        if self.size is not None:
            if not _is_list(self.size, 2) or not all(_is_whole(side) and side > 0 for side in self.size):
                raise RecordError(
                    f"key 'size' must be [width, height] in whole pixels, got {_short(self.size)}"
                )
            object.__setattr__(self, "size", tuple(self.size))

    @property
    def is_url(self) -> bool:
        """Whether it is no local file."""
        return self.path[:8].lower().startswith(_URLS)

    @property
    def file(self) -> Path:
        """The local file that holds it: the image or its shard. Not for URLs."""
        name, tar, _ = self.path.partition(TAR)
        return self.root / (name + tar.rstrip("#"))

    @property
    def member(self) -> str | None:
        """Name within the shard; None if it is no shard's member."""
        name = None if self.is_url else self.path.partition(TAR)[2]
        return name or None

    def seen_from(self, folder: Path) -> ImageRef:
        """The same image with a path that starts from `folder`; URLs and absolute paths stay."""
        if self.is_url or Path(self.path).is_absolute():
            return replace(self, root=folder)
        start, target = self.root.resolve(), folder.resolve()
        path = self.path if start == target else Path(os.path.relpath(start / self.path, target)).as_posix()
        return replace(self, path=path, root=folder)


@dataclass(frozen=True, eq=False)
class Record:
    """One image, its regions, and independent dialogues about them. Checked and immutable.

    boxes: (N, 4) float32, pixels of the original image (after EXIF), x1 y1 x2 y2; may be none.
    dialogues: each a conversation of its own; several share one image and its regions. None at all: the
        record only says what the boxes are, for tasks to be made from.
    scores: N confidences of the proposer. source: who made the boxes, or the data set.
    labels: what each box is; None where that is not known.
    id: unique within a file. meta: anything else that JSON can hold.

    Only form is checked here; whether answers make sense is for `fo1 data check`.
    Raises `RecordError` naming the key.
    """

    image: ImageRef
    boxes: FloatArray
    dialogues: tuple[Dialogue, ...] = ()
    scores: tuple[float, ...] | None = None
    source: str | None = None
    labels: tuple[str | None, ...] | None = None
    id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boxes = _boxes(self.boxes)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "dialogues", tuple(tuple(dialogue) for dialogue in self.dialogues))
        if self.scores is not None:
            _check_list("scores", self.scores, len(boxes), _is_number, "finite numbers")
            object.__setattr__(self, "scores", tuple(float(score) for score in self.scores))
        if self.labels is not None:
            _check_list("labels", self.labels, len(boxes), _is_text_or_none, "strings or null")
            object.__setattr__(self, "labels", tuple(self.labels))
        for key, value in (("source", self.source), ("id", self.id)):
            if not _is_text_or_none(value):
                raise RecordError(f"key {key!r} must be a string, got {_short(value)}")
        if not isinstance(self.meta, Mapping):
            raise RecordError(f"key 'meta' must be an object, got {_short(self.meta)}")

    def to_json(self) -> dict[str, Any]:
        """A line of a data file as a plain object; what is not known is left out."""
        optional = {
            "scores": None if self.scores is None else list(self.scores),
            "labels": None if self.labels is None else list(self.labels),
            "source": self.source,
            "meta": dict(self.meta) or None,
        }
        head: dict[str, Any] = {} if self.id is None else {"id": self.id}
        head["image"] = self.image.path
        if self.image.size is not None:
            head["size"] = list(self.image.size)
        return {
            **head,
            # Shortest decimals that give the same float32 again.
            "boxes": [[float(str(value)) for value in box] for box in self.boxes],
            **{key: value for key, value in optional.items() if value is not None},
            "dialogues": [
                [{"role": turn.role, "text": turn.text} for turn in talk] for talk in self.dialogues
            ],
        }

    @classmethod
    def from_json(cls, data: Any, root: Path = Path()) -> Record:
        """From what `to_json` gives. root: folder of the file it was read from. Raises `RecordError`."""
        _check_keys(data, KEYS, ("image",), "the record")
        optional = {key: data[key] for key in ("scores", "source", "labels", "id", "meta") if key in data}
        if optional.get("meta", {}) is None:
            raise RecordError("key 'meta' must be an object, got None")
        return cls(
            image=ImageRef(data["image"], data.get("size"), root),
            boxes=data.get("boxes", []),
            dialogues=_dialogues(data.get("dialogues", [])),
            **optional,
        )


KEYS = ("id", "image", "size", "boxes", "scores", "labels", "source", "meta", "dialogues")


def _dialogues(data: Any) -> tuple[Dialogue, ...]:
    if not _is_list(data):
        raise RecordError(f"key 'dialogues' must be a list of lists of turns, got {_short(data)}")
    return tuple(_dialogue(talk, f"dialogues[{number}]") for number, talk in enumerate(data))


def _dialogue(data: Any, where: str) -> Dialogue:
    if not _is_list(data) or not data:
        raise RecordError(f"{where} must be a list of at least one turn, got {_short(data)}")
    turns = []
    for number, turn in enumerate(data):
        here = f"{where}[{number}]"
        _check_keys(turn, ("role", "text"), ("role", "text"), here)
        try:
            turns.append(Turn(turn["role"], turn["text"]))
        except RecordError as error:
            raise RecordError(f"{here}: {error}") from error
    return tuple(turns)


def _boxes(rows: Any) -> FloatArray:
    """A read-only (N, 4) float32 copy."""
    if isinstance(rows, np.ndarray):
        rows = rows.tolist()
    if not _is_list(rows):
        raise RecordError(f"key 'boxes' must be a list of [x1, y1, x2, y2], got {_short(rows)}")
    for number, row in enumerate(rows):
        if not _is_list(row, 4) or not all(_is_number(value) for value in row):
            raise RecordError(f"boxes[{number}] must be four finite numbers, got {_short(row)}")
    boxes = np.array(rows, dtype=np.float32).reshape(-1, 4)
    boxes.setflags(write=False)
    return boxes


def _check_keys(data: Any, known: Sequence[str], needed: Iterable[str], where: str) -> None:
    if not isinstance(data, Mapping):
        raise RecordError(f"{where} must be an object, got {_short(data)}")
    for key in data:
        if key not in known:
            raise RecordError(f"unknown key {key!r} in {where}; known are {', '.join(known)}")
    for key in needed:
        if key not in data:
            raise RecordError(f"key {key!r} is missing in {where}")


def _check_list(key: str, values: Any, count: int, is_right: Any, what: str) -> None:
    if not _is_list(values) or not all(is_right(value) for value in values):
        raise RecordError(f"key {key!r} must be a list of {what}, got {_short(values)}")
    if len(values) != count:
        raise RecordError(f"key {key!r} has {len(values)} entries for {count} boxes")


def _is_list(value: Any, length: int | None = None) -> bool:
    return isinstance(value, (list, tuple)) and (length is None or len(value) == length)


def _is_number(value: Any) -> bool:
    """A number that float32 can hold; numpy's count as well, true and false do not."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        return False
    # Python compares whole numbers of any length with a float; NaN is not below it.
    return bool(abs(value) < _LARGEST)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    """A string that a tokenizer takes: halves of surrogate pairs (\\ud83d) are not characters."""
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def _is_text_or_none(value: Any) -> bool:
    return value is None or _is_text(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"

"""From command-line words to images and boxes, checked before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fo1.errors import Fo1Error

if TYPE_CHECKING:
    from fo1.tiles import Tiles

BOX = "[x1, y1, x2, y2]"


def check_words(images: Sequence[str], text: str, what: str, example: str) -> None:
    """Catches `IMAGE... TEXT` without the text, with a text that was not quoted, or that is no text at all.

    what: what the text is, in messages ("labels"). Raises `Fo1Error`.
    """
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Fo1Error(f"the last word must be the {what}, but {text!r} is not valid UTF-8")
    if Path(text).suffix and _is_file(text):
        raise Fo1Error(f"the last word must be the {what}, but {text} is a file; for example: {example}")
    stray = next((word for word in images if word.endswith(",") and not _is_file(word)), None)
    if stray is not None:
        raise Fo1Error(f"{stray!r} is no image; put the {what} in quotes, for example: {example}")


def expand(words: Sequence[str]) -> list[str]:
    """Patterns become the files that match, sorted; all else stays. Raises `Fo1Error` if none matches."""
    found: list[str] = []
    for word in words:
        is_pattern = any(sign in word for sign in "*?[") and not is_url(word) and not _is_file(word)
        matches = sorted(glob(word, recursive=True)) if is_pattern else [word]
        if not matches:
            raise Fo1Error(f"no file matches {word}")
        found += matches
    return found


def read_boxes(path: str, images: Sequence[str]) -> list[list[float]]:
    """The boxes in a JSON file: a list of `[x1, y1, x2, y2]`, or `{"boxes": [...]}`.

    Raises `Fo1Error` naming the file, or if the boxes would have to serve several images.
    """
    if len(images) > 1:
        raise Fo1Error(f"--boxes belongs to one image, but there are {len(images)}")
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Fo1Error(f"--boxes {path} cannot be read as JSON: {error}") from error
    rows = data.get("boxes") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise Fo1Error(f'--boxes {path} must hold a list of {BOX}, or {{"boxes": [...]}}')
    return [_box(row, f"--boxes {path}, box {number}") for number, row in enumerate(rows)]


def parse_box(text: str) -> list[float]:
    """A box written `x1,y1,x2,y2`. Raises `Fo1Error`."""
    return _box(text.replace(",", " ").split(), "--box")


def parse_tiles(text: str) -> Tiles:
    """A tile's side in pixels, or "auto". Raises `Fo1Error`."""
    from fo1.tiles import LEAST_SIDE, tile_side

    if text == "auto":
        return "auto"
    try:
        return tile_side((1, 1), int(text))
    except ValueError as error:
        raise Fo1Error(f"--tiles {text}: give a side of at least {LEAST_SIDE} pixels, or auto") from error


def is_url(word: str) -> bool:
    """Whether an image is named by a web address or a data URL, not a path."""
    return word[:8].lower().startswith(("http://", "https://", "data:"))


def _box(row: Any, where: str) -> list[float]:
    try:
        x1, y1, x2, y2 = (float(value) for value in row)
    except (TypeError, ValueError, OverflowError) as error:
        raise Fo1Error(f"{where} must be four numbers {BOX}, got {str(row)[:80]}") from error
    return [x1, y1, x2, y2]


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # too long for a path, or a NUL inside: text then
        return False

"""Finding and reading the files of a data set; what is not there is said with what was expected."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from fo1.data.convert.problems import Problems
from fo1.data.record import ImageRef, RecordError
from fo1.images import FORMATS
from fo1.types import FloatArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")
# MPO files open as JPEG; Pillow has no opener of that name, and stumbles over it.
_FORMATS = tuple(name for name in FORMATS if name != "MPO")
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def read_json(path: Path, what: str) -> Any:
    """A JSON document. what: what was expected there. Raises `RecordError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); expected {what}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise RecordError(
            f"{path}, line {error.lineno}: is damaged or cut off ({error.msg}); expected {what}"
        ) from error
    except RecursionError as error:
        raise RecordError(f"{path}: is nested too deeply; expected {what}") from error


def read_xml(path: Path) -> ET.Element:
    """The root of an XML document. Raises `RecordError`."""
    try:
        return ET.fromstring(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    except (ET.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that is not known
        raise RecordError(f"{path}: is damaged or cut off ({error})") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without their ends. Raises `RecordError`."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from error


def need_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder. what: what was expected in it. Raises `RecordError`."""
    if not path.is_dir():
        raise RecordError(f"{path}: no such folder; expected {what}")
    return path


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels after EXIF, read from the file's head alone. Raises `RecordError`."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED
    except FileNotFoundError as error:
        raise RecordError(f"{path}: missing image") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RecordError(f"{path}: not an image that can be read") from error
    return (height, width) if turned else (width, height)


class Images:
    """The images of a data set: finds them, and says where not. Folders are listed once, not asked per image.

    root: folder in which to look.
    """

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root, self.problems = (
            need_folder(root, "the folder of the images; give it by --images"),
            problems,
        )
        self._listed: dict[Path, frozenset[str]] = {}

    def find(self, name: str, place: str, folders: Iterable[str] = ("",)) -> str | None:
        """Path from the root of an image called so; None, and a problem at `place`, if it is missing.

        name: path or URL; its leading folders need not exist here (`images/v1/patch0/a.jpg` is also found as
            `patch0/a.jpg` or `a.jpg`). folders: where under the root to look.
        """
        parts = PurePosixPath(name.replace("\\", "/").split("://")[-1]).parts
        if ".." in parts or not parts:
            parts = parts[-1:]
        for start in range(len(parts)):
            for folder in folders:
                path = Path(folder, *(part for part in parts[start:] if part != "/"))
                if path.name in self._names(path.parent):
                    return path.as_posix()
        self.problems.add("missing image", f"{place}: {name}")
        return None

    def find_stem(self, stem: str, place: str, folders: Iterable[str] = ("",)) -> str | None:
        """As `find`, for a name without its suffix."""
        folders = tuple(folders)
        for folder in folders:
            names = self._names(Path(folder))
            for suffix in (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES)):
                if stem + suffix in names:
                    return Path(folder, stem + suffix).as_posix()
        return self.find(stem, place, folders)

    def ref(self, path: str, size: tuple[int, int] | None = None) -> ImageRef | None:
        """The image at a path from the root, its size read if not given. None, and a problem, if damaged."""
        if size is None:
            try:
                size = upright_size(self.root / path)
            except RecordError as error:
                place, _, kind = str(error).rpartition(": ")
                self.problems.add(kind, place)
                return None
        return ImageRef(path, size, self.root)

    def _names(self, folder: Path) -> frozenset[str]:
        if folder not in self._listed:
            place = self.root / folder
            self._listed[folder] = (
                frozenset(p.name for p in place.iterdir()) if place.is_dir() else frozenset()
            )
        return self._listed[folder]


def sound_box(values: Any, size: tuple[int, int], place: str, problems: Problems) -> tuple[float, ...] | None:
    """x1 y1 x2 y2 clipped to an image of (width, height); None, and a problem, if nothing is left of it.

    values: four numbers x1 y1 x2 y2 in pixels.
    """
    try:
        box = np.array([float(value) for value in values], dtype=np.float64)
    except (TypeError, ValueError):
        box = np.zeros(0)
    if box.shape != (4,) or not np.isfinite(box).all():
        problems.add("box is not four finite numbers", place)
        return None
    if box[2] <= box[0] or box[3] <= box[1]:
        problems.add("box of zero area", place)
        return None
    clipped = box.clip(0, [*size, *size])
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        problems.add("box outside the image", place)
        return None
    return tuple(clipped.tolist())


def from_xywh(box: Any) -> tuple[float, ...] | None:
    """x y width height → x1 y1 x2 y2; None if it is no such thing."""
    try:
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    return x, y, x + width, y + height


def as_boxes(rows: Iterable[Iterable[float]]) -> FloatArray:
    """(N, 4) float32, also of none."""
    return np.array([list(row) for row in rows], dtype=np.float32).reshape(-1, 4)


def tidy(name: Any) -> str | None:
    """A label with single spaces, underscores as spaces; None if nothing is left."""
    return (" ".join(name.replace("_", " ").split()) or None) if isinstance(name, str) else None

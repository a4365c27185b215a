"""`gather`: from folders, patterns, lists, tar shards and videos to images with ids, here or in storage."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, Protocol

from PIL import Image

from fo1.data.convert.files import SUFFIXES, read_lines
from fo1.errors import Fo1Error, ImageError
from fo1.images import load_image
from fo1.labeling.storage import is_pattern, is_stored, listed, opened
from fo1.labeling.video import Frame, Video

SHARDS = (".tar",)
VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


class Source(Protocol):
    """One image that can be read, here or in another process.

    id: its path below the common folder of what was given; the same on every machine. URLs are their own.
    """

    @property
    def id(self) -> str: ...

    def read(self) -> Image.Image:
        """Upright RGB. Raises `ImageError`."""


@dataclass(frozen=True)
class File:
    """An image file, here, in storage or on the web."""

    id: str
    path: str

    def read(self) -> Image.Image:
        if not is_stored(self.path):
            return load_image(self.path)
        with opened(self.path) as file:
            return load_image(file.read())


@dataclass(frozen=True)
class Member:
    """A member of a tar shard. start, size: bytes of the shard in which it lies."""

    id: str
    path: str
    start: int
    size: int

    def read(self) -> Image.Image:
        try:
            with opened(self.path) as file:
                file.seek(self.start)
                data = file.read(self.size)
        except OSError as error:
            raise ImageError(f"{self.path} cannot be read: {error.strerror}") from error
        return load_image(data)


@dataclass(frozen=True)
class Unreadable:
    """What was to hold images, and cannot be opened."""

    id: str
    why: str

    def read(self) -> Image.Image:
        raise ImageError(self.why)


class Place(NamedTuple):
    """A file that was found, and the folder from which it was named; both absolute, or a web URL and None."""

    path: str
    base: str | None


def gather(words: Iterable[str], every: int = 30, without: Path | None = None) -> list[Source]:
    """All images that words mean, each once, in the words' order; within a folder, by path.

    words: folders (with their subfolders), patterns, files, URLs, `.txt` lists of such words (one a line,
        from the list's own folder; `#` begins a remark), uncompressed `.tar` shards, and videos. Folders,
        patterns, files and shards may lie in storage (`s3://…`; see `fo1.labeling.storage`).
    every: of a video every n-th frame, from the first. without: a folder to leave out.
    Raises `Fo1Error` for a word that means nothing, and if there is no image.
    """
    skipped = None if without is None else os.path.abspath(without)
    places = list(dict.fromkeys(place for word in words for place in _places(word, os.getcwd(), skipped)))
    bases = {_in_one_tree(place.base) for place in places if place.base is not None}
    root = os.path.commonpath(bases) if bases else ""
    found: dict[str, Source] = {}
    for path, base in places:
        id = path if base is None else Path(os.path.relpath(_in_one_tree(path), root)).as_posix()
        for source in _opened(id, path, every):
            found.setdefault(source.id, source)
    if not found:
        raise Fo1Error("no images found; give folders, patterns, lists, .tar shards or videos that hold some")
    return list(found.values())


def _places(word: str, folder: str, skipped: str | None) -> Iterator[Place]:
    if word[:8].lower().startswith(("http://", "https://", "data:")):
        yield Place(word, None)
        return
    if is_stored(word):
        base, files = listed(word)
        yield from (Place(file, base) for file in files if _is_known(file))
        return
    path = os.path.abspath(os.path.join(folder, os.path.expanduser(word)))
    if os.path.isdir(path):
        yield from (Place(file, path) for file in _files(path, skipped))
    elif os.path.isfile(path):
        if path.endswith(".txt"):
            for line in map(str.strip, read_lines(Path(path))):
                if line and not line.startswith("#"):
                    yield from _places(line, os.path.dirname(path), skipped)
        elif path.endswith(_PACKED):
            raise Fo1Error(f"{word} is compressed, so its members cannot be read one by one; make it a .tar")
        else:
            yield Place(path, os.path.dirname(path))
    else:
        base = os.path.join("/", *takewhile(lambda part: not is_pattern(part), Path(path).parts[:-1]))
        matches = sorted(glob(path, recursive=True)) if is_pattern(path) else []
        if not matches:
            raise Fo1Error(f"{word}: no such file or folder, and no file matches it")
        yield from (Place(match, base) for match in matches if os.path.isfile(match))


def _in_one_tree(path: str) -> str:
    """So that stored and local paths have a common folder."""
    return "/" + path.replace("://", "/", 1) if is_stored(path) else path


def _is_known(path: str) -> bool:
    name = os.path.basename(path)
    return name[:1] != "." and name.lower().endswith((*SUFFIXES, *SHARDS, *VIDEOS))


def _files(folder: str, skipped: str | None) -> list[str]:
    """Images, shards and videos in a folder, however deep, by their path; nothing hidden."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f[0] != "." and os.path.join(here, f) != skipped]
        found += [os.path.join(here, name) for name in names if _is_known(name)]
    return sorted(found, key=lambda path: Path(path).parts)


def _opened(id: str, path: str, every: int) -> Sequence[Source]:
    """The images in a file."""
    suffix = os.path.splitext(path)[1].lower()
    try:
        if suffix in SHARDS:
            return _members(id, path)
        if suffix in VIDEOS and is_stored(path):
            raise ImageError(f"{path}: videos are read from local files only; copy it here")
        if suffix in VIDEOS:
            video = Video(path)
            return [Frame(f"{id}/{n:06d}.jpg", video, n) for n in range(0, len(video), every)]
    except ImageError as error:
        return [Unreadable(id, str(error))]
    return [File(id, path)]


def _members(id: str, path: str) -> list[Source]:
    try:
        with opened(path) as file, tarfile.open(fileobj=file, mode="r:") as shard:
            return [
                Member(f"{id}/{member.name}", path, member.offset_data, member.size)
                for member in shard
                if member.isfile() and member.name.lower().endswith(SUFFIXES)
            ]
    except (OSError, tarfile.TarError) as error:
        raise ImageError(f"{path} cannot be read as a tar file: {error}") from error

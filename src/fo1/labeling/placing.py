"""`Placing`: the images of an exported data set, put where its layout expects them."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from fo1.data.convert.files import SUFFIXES
from fo1.errors import Fo1Error
from fo1.labeling.sources import File, Source


class Placing:
    """Names images and puts them into folders, as links to the originals or as copies.

    sources: of the images, by id. copy: no links. What is no file of its own (a shard's member, a frame, a
    URL) is always written. missing: ids of images that were not there any more; they are named all the same.
    """

    def __init__(self, sources: Mapping[str, Source], copy: bool = False) -> None:
        self._sources, self._copy = sources, copy
        self._taken: set[str] = set()
        self.missing: list[str] = []

    def put(self, id: str, folder: Path, flat: bool = False) -> PurePosixPath:
        """The image's path in the folder. flat: without subfolders.

        No two have the same path but for the suffix, since annotations are files called like their image.
        Raises `OSError` if it cannot be written.
        """
        name = self._free(_relative(id, flat))
        target = folder / name
        try:
            self._place(id, target)
        except (Fo1Error, FileNotFoundError):
            self.missing.append(id)
        return name

    def _free(self, name: PurePosixPath) -> PurePosixPath:
        free, number = name, 1
        while str(free.with_suffix("")) in self._taken:
            number += 1
            free = name.with_stem(f"{name.stem}-{number}")
        self._taken.add(str(free.with_suffix("")))
        return free

    def _place(self, id: str, target: Path) -> None:
        source = self._sources.get(id)
        if source is None:
            raise FileNotFoundError(id)
        if isinstance(source, File) and Path(source.path).is_file():
            put_file(Path(source.path), target, self._copy)
        elif not target.exists():
            image = source.read()
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target, quality=95)


def put_file(original: Path, target: Path, copy: bool = False) -> None:
    """A link to a file, or a copy of it where there can be no links.

    What is there already stays if it is that file; links are replaced, other files never.
    Raises `OSError`, for example if another file is in the way.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(target):
        if _is_there(original, target, copy):
            return
        if not target.is_symlink():
            raise FileExistsError(
                f"{target} is another file than {original}; remove it, or choose another --out"
            )
        original = original.resolve()  # which may be a link to the link that goes now
        target.unlink()
    if not copy:
        # There are file systems without links, and Windows without the right to make them.
        with suppress(OSError, NotImplementedError):
            target.symlink_to(original.absolute())
            return
    shutil.copyfile(original, target)


def _is_there(original: Path, target: Path, copy: bool) -> bool:
    if not target.exists():  # a link to what has gone
        return False
    if target.is_symlink():
        linked = not copy and target.samefile(original)
        return linked or os.path.samestat(target.lstat(), original.lstat())
    return target.samefile(original) or filecmp.cmp(original, target, shallow=False)


def _relative(id: str, flat: bool) -> PurePosixPath:
    path = PurePosixPath(urlsplit(id).path if "://" in id else id)
    parts = [part for part in path.parts if part not in ("/", "..")]
    name = PurePosixPath("_".join(parts) if flat else "/".join(parts))
    return name if name.suffix.lower() in SUFFIXES else name.with_name(name.name + ".jpg")

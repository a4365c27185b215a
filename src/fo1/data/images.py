"""`ImageFiles`: opens the images that records refer to, members of tar shards included."""

from __future__ import annotations

import tarfile
from pathlib import Path

from PIL import Image

from fo1.data.record import ImageRef
from fo1.errors import ImageError
from fo1.images import load_image


class ImageFiles:
    """Opens images; remembers where the members of each shard lie, so that a shard is searched only once.

    Safe to copy to other processes. A shard must not change while it is in use.
    """

    def __init__(self) -> None:
        self._shards: dict[Path, dict[str, tuple[int, int]]] = {}

    def open(self, ref: ImageRef) -> Image.Image:
        """Upright RGB. Raises `ImageError` if it cannot be read or is not of the size the record says.

        A wrong size means boxes that lie elsewhere: measured before EXIF was applied, or on another image.
        """
        if ref.is_url:
            image = load_image(ref.path)
        elif ref.member is None:
            image = load_image(ref.file)
        else:
            data = self._read(ref.file, ref.member)
            try:
                image = load_image(data)
            except ImageError as error:
                raise ImageError(f"{ref.file}#{ref.member}: {error}") from error
        if ref.size is not None and image.size != ref.size:
            raise ImageError(
                f"{ref.path} is {image.width}×{image.height} upright, but its record says "
                f"{ref.size[0]}×{ref.size[1]}; correct the size, and the boxes if they were measured on it"
            )
        return image

    def find(self, ref: ImageRef) -> None:
        """Raises `ImageError` if a local image is not there. URLs are not asked for."""
        if ref.is_url:
            return
        if ref.member is not None:
            self._place(ref.file, ref.member)
        elif not _is_file(ref.file):
            raise ImageError(f"{ref.file}: no such file; check the path")

    def _read(self, shard: Path, member: str) -> bytes:
        start, length = self._place(shard, member)
        try:
            with shard.expanduser().open("rb") as file:
                file.seek(start)
                data = file.read(length)
        except OSError as error:
            raise ImageError(f"{shard} cannot be read: {error.strerror}") from error
        if len(data) < length:
            raise ImageError(f"{shard}#{member} is cut off; get the shard again")
        return data

    def _place(self, shard: Path, member: str) -> tuple[int, int]:
        """Where a member's bytes start, and how many they are."""
        if shard not in self._shards:
            self._shards[shard] = _members(shard)
        try:
            return self._shards[shard][member]
        except KeyError as error:
            raise ImageError(f"{shard} has no member {member!r}; check the name after #") from error


def _members(shard: Path) -> dict[str, tuple[int, int]]:
    try:
        # "r:" takes no compressed archive: there nothing can be read from the middle.
        with tarfile.open(shard.expanduser(), "r:") as tar:
            files = (info for info in tar if info.isreg())
            return {info.name.removeprefix("./"): (info.offset_data, info.size) for info in files}
    except FileNotFoundError as error:
        raise ImageError(f"{shard}: no such file; check the path") from error
    except (OSError, tarfile.TarError) as error:
        raise ImageError(f"{shard} is no plain tar file ({error}); unpack it if it is compressed") from error


def _is_file(path: Path) -> bool:
    try:
        return path.expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # too long, NUL inside, no home directory for "~"
        return False

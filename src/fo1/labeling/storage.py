"""Files in storage that fsspec has a driver for (`s3://…`, `gs://…`, …), beside local ones."""

from __future__ import annotations

from itertools import takewhile
from typing import IO, Any

from fsspec.core import url_to_fs

from fo1.errors import Fo1Error, ImageError


def is_stored(path: str) -> bool:
    """Is it an address in such a storage? What lies on the web is not."""
    scheme, divider, _ = path.partition("://")
    return bool(divider) and scheme.isalnum() and scheme.lower() not in ("http", "https")


def is_pattern(text: str) -> bool:
    """Does it stand for all paths that match it?"""
    return any(sign in text for sign in "*?[")


def listed(address: str) -> tuple[str, list[str]]:
    """A folder, and the files in it, however deep, in the order of their paths: what an address means.

    address: of a folder, of a file, or a pattern. Raises `Fo1Error` if there is nothing, or no way to it.
    """
    try:
        system, path = _system(address)
        found = system.glob(path) if is_pattern(path) else system.find(path)
    except OSError as error:
        raise Fo1Error(f"{address} cannot be listed: {error}") from error
    if not found:
        raise Fo1Error(f"{address}: no such file or folder, and no file matches it")
    whole = system.unstrip_protocol(path)
    base = whole.rpartition("/")[0] if found == [path] else whole
    folder = "/".join(takewhile(lambda part: not is_pattern(part), base.split("/")))
    return folder, [system.unstrip_protocol(one) for one in sorted(found, key=lambda one: one.split("/"))]


def opened(path: str) -> IO[bytes]:
    """A file that can be sought, local or stored. Raises `ImageError`."""
    try:
        if not is_stored(path):
            return open(path, "rb")
        system, place = _system(path)
        file: IO[bytes] = system.open(place, "rb")
        return file
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from error


def _system(address: str) -> tuple[Any, str]:
    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as error:  # it says which package is missing
        raise Fo1Error(f"{address} cannot be reached: {error}") from error
    return system, str(path)

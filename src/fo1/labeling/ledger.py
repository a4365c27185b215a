"""`Ledger`: what is known of each image, a line of JSON each, safe from whatever ends a long run.

A folder holds `run.json` (what the lines are of) and `NAME-*.jsonl`. Lines are only ever appended, a batch of
images in one go and onto the disk before the next is begun. The last line of a batch says `"last": true`;
what stands after the last such line was in flight when a run died, and is cut off by the next. So an image is
in the ledger once and whole, or not at all. Every line begins with the image's id; one that failed goes on
with the error. If a failed image is asked again, its later line counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fo1.errors import Fo1Error

Row = dict[str, Any]
RUN = "run.json"
_HEAD = '{"image": '
_FAILED = ', "error": '
_END = b', "last": true}\n'


class Ledger:
    """The lines of one run. kind: "label" or "judge". name: what the lines are, first part of the files.

    settings: what the lines depend on. origin: where the images came from, for who wants them again.
    failed: ids of images whose line is an error.
    """

    def __init__(self, folder: Path, name: str, run: Mapping[str, Any]) -> None:
        self.folder, self.name = folder, name
        self.settings: dict[str, Any] = run["settings"]
        self.origin: dict[str, Any] = run["origin"]
        self.failed: dict[str, None] = {}
        self._places: dict[str, tuple[Path, int]] = {}
        self._ends = {file: self._index(file) for file in sorted(folder.glob(f"{name}-*.jsonl"))}

    @classmethod
    def read(cls, folder: Path, name: str) -> Ledger:
        """The lines there are. Raises `Fo1Error` if the folder holds no such run, or a damaged one."""
        return cls(folder, name, _read_run(folder, name))

    @classmethod
    @contextmanager
    def writing(
        cls,
        folder: Path,
        name: str,
        settings: Mapping[str, Any],
        origin: Mapping[str, Any],
        images: Sequence[str] = (),
    ) -> Iterator[Ledger]:
        """A new ledger, or the one that is there if its settings are the same; nobody else may write it.

        A start that came to no answer, such as with a model that is not there, leaves no settings behind.
        images: ids of those to be asked, if they are paths below a common folder.
        Raises `Fo1Error`: another run is writing, settings differ (saying which), files are damaged, or the
        images of the ledger go by other ids now.
        """
        with _locked(folder):
            there = (folder / RUN).exists()
            run = _read_run(folder, name) if there else {"settings": {}, "origin": {}}
            ledger = cls(folder, name, run)
            ledger._check_names(images)
            ledger.origin = dict(origin)  # images may have moved, or become more
            if len(ledger) == len(ledger.failed):
                ledger.settings = {}
            ledger.settle(settings)
            ledger._cut()
            yield ledger

    def settle(self, settings: Mapping[str, Any]) -> None:
        """Settings of the run, as they become known; those that are known must be the same.

        Raises `Fo1Error` that names the ones that differ.
        """
        differ = [
            f"{key} was {_short(self.settings[key])}, is {_short(value)}"
            for key, value in settings.items()
            if self.settings.setdefault(key, value) != value
        ]
        if differ:
            raise Fo1Error(
                f"{self.folder} is of another run ({'; '.join(differ)}); choose another --out, or remove it"
            )
        run = {"lines": self.name, "settings": self.settings, "origin": self.origin}
        write_whole(self.folder / RUN, json.dumps(run, indent=1) + "\n")

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image: str) -> bool:
        return image in self._places

    def __iter__(self) -> Iterator[Row]:
        """The line of each image, in the order in which they were first asked."""
        opened: dict[Path, Any] = {}
        try:
            for path, start in self._places.values():
                file = opened.get(path) or opened.setdefault(path, path.open("rb"))
                file.seek(start)
                yield json.loads(file.readline())
        finally:
            for file in opened.values():
                file.close()

    def append(self, rows: Sequence[Row]) -> None:
        """Adds the lines of a batch; they are on the disk when this returns.

        Raises `Fo1Error` if they cannot be written, for example on a full disk; nothing of them is left then.
        """
        path = self.folder / f"{self.name}-00000.jsonl"
        end = self._ends.get(path, 0)
        lines = [json.dumps(row, ensure_ascii=True).encode() + b"\n" for row in rows]
        lines[-1] = lines[-1][:-2] + _END
        try:
            _append(path, end, b"".join(lines))
        except OSError as error:
            raise Fo1Error(
                f"{path} cannot be written: {error.strerror}; what was done before is kept: make room and "
                "start the same command again"
            ) from error
        for row, line in zip(rows, lines, strict=True):
            self._note(row["image"], "error" in row, path, end)
            end += len(line)
        self._ends[path] = end

    def _check_names(self, images: Sequence[str]) -> None:
        """Of other folders than before, the common folder may be another, and all images have new ids."""
        before = next(iter(self._places), None)
        if before is None or any(image in self for image in images):
            return
        for now in images:
            if now.endswith("/" + before) or before.endswith("/" + now):
                raise Fo1Error(
                    f"{self.folder} knows {before}, which would be {now} now: images are named from the "
                    "common folder of all that is given; give what was given before, or choose another --out"
                )

    def _note(self, image: str, failed: bool, path: Path, start: int) -> None:
        self._places[image] = path, start
        if failed:
            self.failed[image] = None
        else:
            self.failed.pop(image, None)

    def _index(self, path: Path) -> int:
        """Finds the lines of finished batches; returns where they end."""
        start = end = 0
        batch: list[tuple[str, bool, int]] = []
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                batch.append((*_head(line, f"{path}:{number}"), start))
                start += len(line)
                if line.endswith(_END):
                    for image, failed, place in batch:
                        self._note(image, failed, path, place)
                    batch, end = [], start
        return end

    def _cut(self) -> None:
        for path, end in self._ends.items():
            if end < path.stat().st_size:
                os.truncate(path, end)


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that it is there whole or not at all. Raises `Fo1Error`."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise Fo1Error(f"{path} cannot be written: {error.strerror}") from error


def _append(path: Path, end: int, data: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            while data:
                data = data[file.write(data) or 0 :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise


def _head(line: bytes, place: str) -> tuple[str, bool]:
    """Id of a line, and whether it is an error; what was found is not read, it may be long."""
    text = line.decode("ascii", "replace")
    try:
        image, end = json.JSONDecoder().raw_decode(text, len(_HEAD))
    except ValueError:
        image, end = None, 0
    if not (text.startswith(_HEAD) and isinstance(image, str) and text.endswith("}\n")):
        raise Fo1Error(f"{place} is damaged; remove that line, and its image is asked again")
    return image, text.startswith(_FAILED, end)


def _read_run(folder: Path, name: str) -> dict[str, Any]:
    path = folder / RUN
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        lines, _, _ = run["lines"], run["settings"], run["origin"]
    except OSError as error:
        raise Fo1Error(f"{folder} holds no {name}: {path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Fo1Error(f"{path} is not what fo1 wrote there; restore it, or choose another folder") from error
    if lines != name:
        raise Fo1Error(f"{folder} holds {lines}, not {name}; choose another folder")
    return run


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise Fo1Error(f"another run is writing {folder}; wait for it, or choose another --out") from error
    except OSError as error:
        raise Fo1Error(f"{folder} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()

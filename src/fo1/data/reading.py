"""Files of records: `read` in order, `RecordFile` in any order, `write`."""

from __future__ import annotations

import gzip
import json
import logging
import os
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, NoReturn, cast

from fo1.data.problems import problems
from fo1.data.record import Record, RecordError

OnError = Literal["raise", "skip"]
GZIP = ".gz"
_BOM = b"\xef\xbb\xbf"  # some editors on Windows put it in front

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """A line that is not blank. number: from 1. start: byte in the (unpacked) file. data: its bytes."""

    path: Path
    number: int
    start: int
    data: bytes

    def parse(self) -> Record:
        """Its record, of right form. Raises `RecordError` naming file and line."""
        try:
            text = self.data.removeprefix(_BOM).strip().decode("utf-8")
            return Record.from_json(json.loads(text, parse_constant=_constant), self.path.parent)
        except UnicodeDecodeError as error:
            raise RecordError(f"{self.place}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
        except RecordError as error:
            raise RecordError(f"{self.place}: {error}") from error
        except json.JSONDecodeError as error:
            raise RecordError(f"{self.place}: not JSON: {error.msg}, character {error.pos}") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless nesting
            raise RecordError(f"{self.place}: not JSON: {error}") from error

    def parse_checked(self) -> Record:
        """Its record, without any of the errors that `problems` finds."""
        record = self.parse()
        wrong = [problem.message for problem in problems(record) if problem.is_error]
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise RecordError(f"{self.place}: {wrong[0]}{more}")
        return record

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.path}:{self.number}"


def lines(path: Path) -> Iterator[Line]:
    """The lines of a file that are not blank. Raises `RecordError` if it is missing or damaged."""
    start = 0
    try:
        with _open(path) as file:
            for number, data in enumerate(file, start=1):
                if data.strip():
                    yield Line(path, number, start, data)
                start += len(data)
    except FileNotFoundError as error:
        raise RecordError(f"{path}: no such file; check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


class Reading(Iterator[Record]):
    """The records of a file, in order. good, skipped: how many so far."""

    def __init__(self, path: Path, on_error: OnError) -> None:
        self.good = 0
        self.skipped = 0
        self._records = self._run(path, on_error)

    def __next__(self) -> Record:
        return next(self._records)

    def _run(self, path: Path, on_error: OnError) -> Iterator[Record]:
        for line in lines(path):
            try:
                record = line.parse_checked()
            except RecordError as error:
                if on_error == "raise":
                    raise
                self.skipped += 1
                _log.warning("skipped %s", error)
            else:
                self.good += 1
                yield record
        _sum_up(path, self.skipped, self.good)


def read(path: str | Path, on_error: OnError = "raise") -> Reading:
    """The records of a `.jsonl` or `.jsonl.gz` file, one at a time.

    on_error: what to do with a record that cannot be read or makes no sense (see `problems`). "skip" logs
        each with file and line, and their number at the end; `Reading.skipped` counts them.

    Raises `RecordError` naming file and line; always for a file that is missing or damaged as a whole.
    Images are not opened.
    """
    return Reading(Path(path), on_error)


class RecordFile:
    """The records of a `.jsonl` file in any order; only where each line starts is kept in memory.

    on_error: "raise" reads a record when it is asked for, and fails then. "skip" reads all of them at once,
        and leaves out, logs and counts in `skipped` those that `read` would skip.

    Safe to copy to other processes. Raises `RecordError` also if the file changes while in use.
    """

    def __init__(self, path: str | Path, on_error: OnError = "raise") -> None:
        self.path = Path(path)
        self.skipped = 0
        if self.path.suffix == GZIP:
            raise RecordError(f"{path} is packed and can only be read in order; unpack it: gunzip {path}")
        self._version = self._stat()
        numbers, starts = array("q"), array("q")
        for line in lines(self.path):
            if self._takes(line, on_error):
                numbers.append(line.number)
                starts.append(line.start)
        self._numbers, self._starts = numbers, starts
        if on_error == "skip":
            _sum_up(self.path, self.skipped, len(self))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Record:
        start, number = self._starts[index], self._numbers[index]
        if self._stat() != self._version:
            raise RecordError(f"{self.path} has changed since it was opened; open it again")
        # Opened each time, which is quick, so that threads and processes share no position.
        with self.path.open("rb") as file:
            file.seek(start)
            return Line(self.path, number, start, file.readline()).parse_checked()

    def _takes(self, line: Line, on_error: OnError) -> bool:
        if on_error == "skip":
            try:
                line.parse_checked()
            except RecordError as error:
                _log.warning("skipped %s", error)
                self.skipped += 1
                return False
        return True

    def _stat(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise RecordError(f"{self.path} cannot be read: {error.strerror}") from error
        return found.st_size, found.st_mtime_ns


def write(records: Iterable[Record], path: str | Path) -> int:
    """Writes records as `.jsonl` or `.jsonl.gz` and returns how many; the file appears whole or not at all.

    Image paths are rewritten to start from the file's folder. Raises `RecordError`.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    count = 0
    try:
        with _open(partial, "wb", target.suffix == GZIP) as file:
            for record in records:
                file.write(_line(record, count, target.parent))
                count += 1
        os.replace(partial, target)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _line(record: Record, index: int, folder: Path) -> bytes:
    data = record.to_json()
    data["image"] = record.image.seen_from(folder).path
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecordError(f"record {index}: key 'meta' cannot be written as JSON: {error}") from error
    # A file name need not be valid Unicode; as \udcXX it is at least valid JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _open(path: Path, mode: Literal["rb", "wb"] = "rb", packed: bool | None = None) -> IO[bytes]:
    if packed if packed is not None else path.suffix == GZIP:
        return cast(IO[bytes], gzip.open(path, mode))
    return path.open(mode)


def _constant(name: str) -> NoReturn:
    raise RecordError(f"{name} is no number in JSON; numbers must be finite")


def _sum_up(path: Path, skipped: int, good: int) -> None:
    if skipped:
        _log.warning("%s: skipped %d of %d records", path, skipped, skipped + good)

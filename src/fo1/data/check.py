"""`check`: all that is wrong in a file of records, and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fo1.data.images import ImageFiles
from fo1.data.problems import Kind, Problem, problems
from fo1.data.reading import Line, lines
from fo1.data.record import Record, RecordError
from fo1.data.statistics import Statistics
from fo1.errors import ImageError


@dataclass(frozen=True)
class Located:
    """A problem and the line it is in."""

    line: int
    problem: Problem

    @property
    def level(self) -> str:
        """ "error" or "warning"."""
        return "error" if self.problem.is_error else "warning"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        kind, message = self.problem.kind, self.problem.message
        return {"line": self.line, "level": self.level, "kind": kind, "message": message}


@dataclass
class Report:
    """What `check` found.

    lines: records there are. bad: those that `read` skips, or whose image cannot be used.
    found: the first problems, in order. counts: of all, by kind.
    statistics: of all records whose form is right.
    """

    path: Path
    lines: int = 0
    bad: int = 0
    found: list[Located] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)
    statistics: Statistics = field(default_factory=Statistics)

    @property
    def errors(self) -> int:
        """How many, warnings aside."""
        return sum(count for kind, count in self.counts.items() if Problem(kind, "").is_error)

    @property
    def warnings(self) -> int:
        """How many."""
        return self.counts.total() - self.errors

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "file": str(self.path),
            "lines": self.lines,
            "bad_lines": self.bad,
            "errors": self.errors,
            "warnings": self.warnings,
            "kinds": dict(self.counts.most_common()),
            "problems": [one.to_json() for one in self.found],
            "statistics": self.statistics.to_json(),
        }


def check(path: str | Path, open_images: bool = False, limit: int = 100) -> Report:
    """Reads a file of records and collects its problems.

    open_images: decode every image, URLs included; else only see whether local ones are there. Boxes of
        a record without a size can only be compared with an image that is opened.
    limit: how many problems to keep word for word; all are counted.
    Raises `RecordError` if the file is missing or damaged as a whole.
    """
    report = Report(Path(path))
    images = ImageFiles()
    seen: dict[str, int] = {}
    for line in lines(report.path):
        report.lines += 1
        wrong = list(_problems(line, report.statistics, images, open_images, seen))
        report.bad += any(problem.is_error for problem in wrong)
        report.counts.update(problem.kind for problem in wrong)
        room = max(limit - len(report.found), 0)
        report.found += [Located(line.number, problem) for problem in wrong[:room]]
    return report


def _problems(
    line: Line, statistics: Statistics, images: ImageFiles, open_images: bool, seen: dict[str, int]
) -> Iterator[Problem]:
    try:
        record = line.parse()
    except RecordError as error:
        yield Problem("record", str(error).removeprefix(f"{line.place}: "))
        return
    record, unseen = _seen(record, images, open_images)
    yield from unseen
    statistics.add(record)
    yield from problems(record)
    if record.id is not None and seen.setdefault(record.id, line.number) != line.number:
        yield Problem("duplicate id", f"id {record.id!r} is that of line {seen[record.id]} too")


def _seen(record: Record, images: ImageFiles, open_images: bool) -> tuple[Record, list[Problem]]:
    """The record with its image's size, if it was opened, and what is wrong with the image."""
    try:
        images.find(record.image)
        if not open_images:
            return record, []
        size = images.open(record.image).size
    except ImageError as error:
        return record, [Problem("image", str(error))]
    return replace(record, image=replace(record.image, size=size)), []

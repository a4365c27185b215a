"""Annotation files of benchmarks, read with errors that name the file and what was expected."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fo1.data.convert import files
from fo1.data.record import RecordError
from fo1.evaluation.benchmark import BenchmarkError


def existing(path: Path, expected: str) -> Path:
    """The path, if there is such a file or folder. expected: what should be there ("the images of …")."""
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        seen = f"; its folder holds {', '.join(beside)}" if beside else ""
        raise BenchmarkError(f"{path} does not exist; expected {expected}{seen}")
    return path


def read_json(path: Path, expected: str) -> Any:
    """The content of a JSON file. expected: what should be in it, for errors."""
    try:
        return files.read_json(existing(path, expected), expected)
    except RecordError as error:
        raise BenchmarkError(str(error)) from error


def read_json_lines(path: Path, expected: str) -> list[Any]:
    """The objects of a JSON-lines file; blank lines are left out."""
    existing(path, expected)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}); expected {expected}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except (ValueError, RecursionError) as error:
            raise BenchmarkError(f"{path}:{number} is not JSON ({error}); expected {expected}") from error
    return rows


def rows_with(data: Any, keys: Collection[str], path: Path, what: str) -> Sequence[Mapping[str, Any]]:
    """Checks that `data`, from `path`, is a list of objects that all have these keys. what: "annotations"."""
    if not isinstance(data, list):
        raise BenchmarkError(
            f"{path}: {what} must be a list, got {type(data).__name__}; is it another version?"
        )
    for number, row in enumerate(data):
        missing = set(keys) - row.keys() if isinstance(row, dict) else set(keys)
        if missing:
            raise BenchmarkError(
                f"{path}: entry {number} of {what} has no {', '.join(sorted(missing))}; "
                f"expected the keys {', '.join(sorted(keys))}: is it another version?"
            )
    return data

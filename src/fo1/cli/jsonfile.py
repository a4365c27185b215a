"""`JsonFile`: where `--json` goes, one object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer

from fo1.errors import Fo1Error


def dumps(value: Any) -> str:
    """JSON on one line, readable in any script."""
    return json.dumps(value, ensure_ascii=False)


class JsonFile:
    """Writes records to a file or standard output as they come; nowhere if there is no target.

    target: a path, "-" or None. Raises `Fo1Error` if the path cannot be written, early if that can be known.
    """

    def __init__(self, target: str | None) -> None:
        self.is_stdout = target == "-"
        self._path = None if target is None or self.is_stdout else Path(target)
        self._mode = "w"
        if self._path is not None and (os.path.isdir(self._path) or not os.path.isdir(self._path.parent)):
            raise Fo1Error(f"--json {target} cannot be written: it is a folder, or its folder does not exist")

    def write(self, record: dict[str, Any]) -> None:
        """Adds one line."""
        line = dumps(record)
        if self.is_stdout:
            typer.echo(line)
        elif self._path is not None:
            try:
                # A file name need not be valid Unicode; as \udcXX it is at least valid JSON.
                with self._path.open(self._mode, encoding="utf-8", errors="backslashreplace") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise Fo1Error(f"--json {self._path} cannot be written: {error.strerror}") from error
            self._mode = "a"

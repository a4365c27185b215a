"""`PredictionFile`: the answers of a run, one line of JSON each, kept as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fo1.errors import Fo1Error
from fo1.evaluation.benchmark import Prediction

NAME = "predictions.jsonl"
_HEAD = '{"id": '


class RunError(Fo1Error):
    """A run's folder does not hold what is asked of it."""


@dataclass(frozen=True)
class Outcome:
    """What became of one sample: a prediction, or the message of the error it failed with."""

    prediction: Prediction | None
    error: str | None = None


class PredictionFile:
    """The first line is the run's settings, every other one sample; of several on one sample the last counts.

    Only where each line starts is kept in memory. A last line that a killed run left torn is dropped.
    settings: which benchmark, model and options the answers are of.
    Raises `RunError` naming the file and line for a damaged file.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, dict(settings)
        self._starts: dict[str, int] = {}
        self._index()

    @classmethod
    def start(cls, folder: Path, settings: Mapping[str, Any]) -> PredictionFile:
        """A new file, or the one that is there, if its settings are the same.

        Raises `RunError` that names the settings that differ.
        """
        path = folder / NAME
        if not _begun(path):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"run": dict(settings)}) + "\n", encoding="utf-8")
            except OSError as error:
                raise RunError(f"{path} cannot be written: {error.strerror}") from error
        there = cls.read(folder)
        old, new = there.settings, dict(settings)
        differ = [
            f"{key} was {old.get(key)!r}, is {new.get(key)!r}"
            for key in {**old, **new}
            # Data may have moved; whether it is the same, the samples tell.
            if key != "data" and old.get(key) != new.get(key)
        ]
        if differ:
            raise RunError(
                f"{path} is of another run ({'; '.join(differ)}); choose another --out, or remove it"
            )
        return there

    @classmethod
    def read(cls, folder: Path) -> PredictionFile:
        """The file of a run that was started. Raises `RunError` if there is none."""
        path = folder / NAME
        try:
            with path.open(encoding="utf-8") as file:
                settings = json.loads(file.readline())["run"]
        except OSError as error:
            raise RunError(
                f"{folder} is no folder of a run: {path} cannot be read ({error.strerror})"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{path}:1 does not hold a run's settings; expected what fo1 eval writes"
            ) from error
        return cls(path, settings)

    def __len__(self) -> int:
        return len(self._starts)

    def __contains__(self, sample: str) -> bool:
        return sample in self._starts

    def __getitem__(self, sample: str) -> Outcome:
        with self.path.open("rb") as file:
            file.seek(self._starts[sample])
            row = json.loads(file.readline())
        return Outcome(row.get("prediction"), row.get("error"))

    def add(self, sample: str, outcome: Outcome) -> None:
        """Appends one line; it is on its way to the disk when this returns."""
        rest = {"error": outcome.error} if outcome.prediction is None else {"prediction": outcome.prediction}
        with self.path.open("ab") as file:
            start = file.tell()
            file.write((json.dumps({"id": sample, **rest}) + "\n").encode())
        self._starts[sample] = start

    def _index(self) -> None:
        start = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break  # torn
                if number > 1:
                    self._starts[self._id(line, number)] = start
                start += len(line)
        if start < self.path.stat().st_size:
            with self.path.open("r+b") as file:
                file.truncate(start)

    def _id(self, line: bytes, number: int) -> str:
        """Without reading the answer, which may be long."""
        text = line.decode("ascii", "replace")
        try:
            sample, _ = json.JSONDecoder().raw_decode(text, len(_HEAD))
        except ValueError:
            sample = None
        if not (text.startswith(_HEAD) and isinstance(sample, str) and text.endswith("}\n")):
            raise RunError(
                f"{self.path}:{number} is damaged; remove that line, and its sample is asked again"
            )
        return sample


def _begun(path: Path) -> bool:
    """Is the first line there, and whole?"""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")

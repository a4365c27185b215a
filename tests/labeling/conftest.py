"""A folder of images, and the tiny model behind the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fo1 import FO1
from fo1.cli import common
from fo1.cli.main import app
from tiny import picture

Run = Callable[..., Result]


def fill(folder: Path, count: int = 12) -> Path:
    """Images of two sizes, some in a subfolder."""
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        place = folder / "more" if number % 4 == 3 else folder
        picture(number, (80, 60) if number % 3 else (64, 96)).save(place / f"{number:02d}.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return fill(tmp_path / "images")


@pytest.fixture
def run(tiny_fo1: FO1, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "load_model", lambda settings: tiny_fo1)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)

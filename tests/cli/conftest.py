"""Fixtures for the command line: a fake model, and a folder with images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.fakes import FakeModel, Run
from fo1.cli import common
from fo1.cli.main import app
from fo1.cli.options import Settings


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Replaces the model; what it was loaded with collects in the list."""
    asked: list[Settings] = []

    def load(settings: Settings) -> FakeModel:
        asked.append(settings)
        return FakeModel()

    monkeypatch.setattr(common, "load_model", load)
    return asked


@pytest.fixture
def run(loads: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder that holds a.png and b.png, 100×80, and a broken bad.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), "white").save(name)
    Path("bad.png").write_bytes(Path("a.png").read_bytes()[:60])
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)

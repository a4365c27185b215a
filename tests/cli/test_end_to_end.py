"""The real bundled model through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fo1 import FO1
from fo1.boxes import iou
from fo1.cli import common
from fo1.cli.main import app

PHOTOS = Path(__file__).parents[2] / "photos"


def test_a_real_photo(model: FO1, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(common, "load_model", lambda settings: model)
    out = tmp_path / "out.png"
    done = CliRunner().invoke(
        app, ["detect", str(PHOTOS / "dog.jpg"), "dog, airplane", "--json", "-", "--save", str(out)]
    )
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    annotated = next(
        one for one in json.loads((PHOTOS / "annotations.json").read_text()) if one["image"] == "dog.jpg"
    )
    truth = [thing["box"] for thing in annotated["objects"] if thing["label"] == "dog"]
    found = [one["box"] for one in record["detections"] if one["label"] == "dog"]
    assert record["size"] == annotated["size"]
    assert record["absent"] == ["airplane"]
    assert iou(found, truth).max() >= 0.5
    assert out.is_file()


def test_a_word_on_a_real_photo(model: FO1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "load_model", lambda settings: model)
    done = CliRunner().invoke(app, ["read", str(PHOTOS / "space_shuttle.jpg"), "--json", "-"])
    (line,) = json.loads(done.stdout)["lines"]
    assert line["text"] == "USA" and iou([line["box"]], [[212, 251, 242, 266]]).max() > 0.5

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation.answers import tiny_model
from fo1.cli import common
from fo1.cli.main import app
from tiny import BOXES, picture


def test_records_give_a_temperature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "load_model", lambda settings: tiny_model())
    lines = []
    for number in range(4):
        picture(number).save(tmp_path / f"{number}.png")
        boxes = (np.array(BOXES[:2]) * [80, 60, 80, 60]).tolist()
        lines.append({"image": f"{number}.png", "boxes": boxes, "labels": ["cup", "dog"], "dialogues": []})
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def fo1(*words: str) -> str:
        result = CliRunner().invoke(app, ["calibrate", "--data", str(data), *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    found = json.loads(fo1("--json", "-"))
    assert set(found) == {"temperature", "threshold", "error before", "error after", "images"}
    assert found["images"] == 4 and found["temperature"] > 0
    Path(tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    words = ["calibrate", "--data", "gone.jsonl", "--out", str(tmp_path / "full")]
    refused = CliRunner().invoke(app, words)  # before anything is read
    assert refused.exit_code and "choose another" in refused.output
    unsavable = CliRunner().invoke(app, ["calibrate", "--data", str(data), "--out", str(tmp_path / "new")])
    assert unsavable.exit_code and f"temperature {found['temperature']:g}" in unsavable.stdout
    assert fo1().startswith(f"temperature {found['temperature']:g}, threshold {found['threshold']:g}\n")

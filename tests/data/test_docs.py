"""The examples in docs/data.md are sound and run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fo1.data.check import check

ROOT = Path(__file__).parents[2]


def block(language: str) -> str:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    first, *_ = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)  # test_chain runs the others
    return first


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hand").mkdir()
    (tmp_path / "photos").symlink_to(ROOT / "photos")
    Path("train.jsonl").write_text(json.dumps(json.loads(block("json"))) + "\n")
    report = check("train.jsonl", open_images=True)
    assert (report.lines, report.counts.total()) == (1, 0)

    names: dict[str, object] = {}
    exec(compile(block("python"), "data.md", "exec"), names)
    assert names["image"].size == (800, 600)
    assert check("hand/train.jsonl.gz").statistics.records == 1

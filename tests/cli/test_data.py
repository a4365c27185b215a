"""`fo1 data check` and `fo1 data show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.fakes import Run

RECORD: dict[str, Any] = {
    "image": "a.png",
    "boxes": [[10, 30, 60, 70], [70, 5, 95, 30]],
    "scores": [0.5, 0.25],
    "labels": ["cow", None],
    "dialogues": [[{"role": "user", "text": "<region1>?"}, {"role": "assistant", "text": "a cow"}]],
}
WRONG = {**RECORD, "boxes": [[0, 0, 200, 50], [70, 5, 70, 30]], "size": [100, 80]}


@pytest.fixture
def files(run: Run) -> None:
    Path("good.jsonl").write_text(json.dumps(RECORD) + "\n")
    Path("bad.jsonl").write_text("\n".join(map(json.dumps, (RECORD, WRONG, WRONG))))


@pytest.mark.usefixtures("files")
def test_check_a_good_file(run: Run) -> None:
    done = run("data", "check", "good.jsonl", "--images")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "records                  1" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 lines, 0 of them unusable: 0 errors, 0 warnings"


@pytest.mark.usefixtures("files")
def test_check_a_bad_file(run: Run) -> None:
    done = run("data", "check", "bad.jsonl", "--limit", "3", "--json", "report.json")
    assert done.exit_code == 2
    assert done.stdout.splitlines()[:4] == [
        "bad.jsonl:2: warning: boxes[0] reaches outside the image: [0, 0, 200, 50] on an image of 100×80",
        "bad.jsonl:2: error: boxes[1] has no area: [70, 5, 70, 30] on an image of 100×80",
        "bad.jsonl:3: warning: boxes[0] reaches outside the image: [0, 0, 200, 50] on an image of 100×80",
        "… and 1 more; see --limit",
    ]
    report = json.loads(Path("report.json").read_text())
    assert (report["errors"], report["warnings"], report["bad_lines"]) == (2, 2, 2)

    alone = run("data", "check", "bad.jsonl", "--limit", "3", "--json", "-")
    assert alone.exit_code == 2 and json.loads(alone.stdout) == report


@pytest.mark.usefixtures("files")
def test_show_a_record(run: Run) -> None:
    done = run("data", "show", "bad.jsonl", "2", "--save", "out/x.png")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "bad.jsonl:2: a.png 100×80",
        "<region0> [0, 0, 200, 50] 0.50 cow",
        "<region1> [70, 5, 70, 30] 0.25",
        "",
        "dialogue 0",
        "  user: <region1>?",
        "  assistant: a cow",
    ]
    assert "bad.jsonl:2: error: boxes[1] has no area" in done.stderr
    with Image.open("out/x.png") as picture:
        assert picture.size == (100, 80) and len(picture.getcolors(8000) or []) > 3


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "no.jsonl"], "no.jsonl: no such file"),
        (["show", "good.jsonl", "2"], "good.jsonl has no line 2; the last is 1"),
        (["show", "good.jsonl", "1", "--save", "a.png"], "--save a.png would overwrite an image"),
        (["show", "good.jsonl", "1", "--save", "a.txt"], "pictures cannot be written as .txt"),
    ],
)
def test_what_cannot_be_done(run: Run, words: list[str], message: str) -> None:
    done = run("data", *words)
    assert done.exit_code == 2 and done.stderr.startswith("fo1: error: ") and message in done.stderr


def test_data_alone_says_what_there_is(run: Run) -> None:
    done = run("data")
    assert done.exit_code == 0 and "check" in done.stdout and "show" in done.stdout

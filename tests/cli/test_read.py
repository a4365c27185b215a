from __future__ import annotations

import json
from pathlib import Path

from cli.fakes import Run


def test_json_holds_all_text_and_every_line(run: Run) -> None:
    done = run("read", "a.png", "--json", "-")
    record = json.loads(done.stdout)
    assert list(record) == ["image", "size", "model", "text", "lines", "seconds"]
    assert record["text"] == "[red] lion inn"
    assert record["lines"] == [
        {"text": "[red] lion", "box": [10, 20, 30, 40], "score": 0.9, "region": -1},
        {"text": "inn", "box": [50.13, 20, 70, 40], "score": 0.9, "region": -1},
    ]
    assert list(record["seconds"]) == ["load", "image", "encode", "read"]
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_table_and_the_picture(run: Run) -> None:
    done = run("read", "a.png", "b.png", "--save", "drawn/")
    rows = [line.split() for line in done.stdout.splitlines() if "0.90" in line]
    assert (
        rows
        == [["[red]", "lion", "0.90", "10", "20", "30", "40"], ["inn", "0.90", "50", "20", "70", "40"]] * 2
    )
    assert "a.png" in done.stdout and "region" not in done.stdout and "read 0.12 s" in done.stdout
    assert {path.name for path in Path("drawn").iterdir()} == {"a.png", "b.png"}
    assert "no text found" in run("read", "a.png", "--threshold", "0.95").stdout


def test_given_boxes_are_numbered(run: Run) -> None:
    row = next(
        line.split()
        for line in run("read", "a.png", "--box", "1,2,30,40").stdout.splitlines()
        if "0.90" in line
    )
    assert row == ["[red]", "lion", "0.90", "1", "2", "30", "40", "0"]
    Path("boxes.json").write_text("[[1, 2, 30, 40], [5, 6, 70, 80]]")
    record = json.loads(run("read", "a.png", "--boxes", "boxes.json", "--json", "-").stdout)
    assert [(line["box"], line["region"]) for line in record["lines"]] == [
        ([1, 2, 30, 40], 0),
        ([5, 6, 70, 80], 1),
    ]


def test_mistakes(run: Run) -> None:
    both = run("read", "a.png", "--box", "1,2,3,4", "--boxes", "boxes.json")
    assert both.exit_code == 2 and "exclude each other" in both.stderr
    assert run("read", "bad.png", "a.png", "--json", "-").exit_code == 2

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cli.fakes import Run
from fo1.cli.options import Settings

SCHEMA = {
    "image": str,
    "size": list,
    "model": str,
    "detections": list,
    "absent": list,
    "text": str,
    "unknown_regions": list,
    "seconds": dict,
}


def test_json_on_standard_output_is_exactly_the_promised_object_and_nothing_else(run: Run) -> None:
    done = run("detect", "a.png", "orange, dog", "--json", "-")
    record = json.loads(done.stdout)
    assert {key: type(value) for key, value in record.items()} == SCHEMA
    assert list(record) == list(SCHEMA)
    assert record["image"] == "a.png"
    assert record["size"] == [100, 80]
    assert record["model"] == "fake"
    assert record["detections"] == [
        {"label": "orange", "box": [10, 20, 30, 40], "score": 0.9, "region": 0},
        {"label": "orange", "box": [50.13, 20, 70, 40], "score": 0.9, "region": 1},
    ]
    assert record["absent"] == ["dog"]
    assert record["text"] == "as the model says"
    assert record["unknown_regions"] == [99]
    assert list(record["seconds"]) == ["load", "image", "encode", "answer"]
    assert record["seconds"]["image"] > 0.25  # reading the file counts too
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_table_names_what_is_there_and_what_is_not(run: Run) -> None:
    done = run("detect", "a.png", "orange, [red], dog")
    assert done.exit_code == 0
    row = next(line.split() for line in done.stdout.splitlines() if "0.90" in line)
    assert row == ["orange", "0.90", "10", "20", "30", "40", "0"]
    assert "not found: [red], dog" in done.stdout
    assert "100×80" in done.stdout and "encode 0.50 s" in done.stdout
    assert "as the model says" not in done.stdout


def test_several_images_give_one_object_a_line_and_load_once(run: Run, loads: list[Settings]) -> None:
    done = run("detect", "b.png", "a.png", "orange", "--json", "found.jsonl")
    records = [json.loads(line) for line in Path("found.jsonl").read_text().splitlines()]
    assert [record["image"] for record in records] == ["b.png", "a.png"]
    assert records[1]["seconds"]["load"] == 0
    assert "a.png" in done.stdout and "b.png" in done.stdout
    assert len(loads) == 1


def test_a_quoted_pattern_is_expanded_in_order(run: Run) -> None:
    done = run("detect", "[ab].png", "orange", "--json", "-")
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == ["a.png", "b.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(run: Run) -> None:
    Image.new("RGB", (5, 5)).save("[ab].png")
    done = run("detect", "[ab].png", "orange", "--json", "-")
    assert json.loads(done.stdout)["size"] == [5, 5]


def test_options_reach_the_loader(run: Run, loads: list[Settings]) -> None:
    words = ("--model", "folder", "--device", "cpu", "--dtype", "float32", "--threads", "1")
    assert run("detect", "a.png", "orange", *words).exit_code == 0
    assert loads == [Settings("folder", "cpu", "float32", 1)]


def test_the_threshold_reaches_the_model(run: Run) -> None:
    record = json.loads(run("detect", "a.png", "orange", "--threshold", "0.95", "--json", "-").stdout)
    assert (record["detections"], record["absent"]) == ([], ["orange"])


def test_a_broken_image_among_several_is_reported_and_the_others_go_on(run: Run) -> None:
    done = run("detect", "a.png", "bad.png", "b.png", "orange", "--format", "coco")
    assert [image["file_name"] for image in json.loads(done.stdout)["images"]] == ["a.png", "b.png"]
    assert done.stderr.startswith("fo1: error: bad.png") and done.stderr.count("\n") == 1
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nix.png", "orange"], "nix.png: no such file"),
        (["bad.png", "orange"], "bad.png is"),
        ([".", "orange"], ". is a directory"),
        (["q*.png", "orange"], "no file matches q*.png"),
        (["a.png", ""], "no label given"),
        (["a.png", " , "], "no label given"),
        (["a.png", "x" * 501], "501 characters"),
        (["a.png", "caf\udce9"], "not valid UTF-8"),
        (["a.png"], "Missing argument"),
        (["a.png", "b.png"], "b.png is a file"),
        (["a.png", "orange,", "apple"], "in quotes"),
        (["a.png", "orange", "--threshold", "2"], "--threshold"),
        (["a.png", "orange", "--threads", "0"], "--threads"),
        (["a.png", "orange", "--top-k", "0"], "--top-k"),
        (["a.png", "orange", "--top-k", "few"], "--top-k"),
        (["a.png", "orange", "--tiles", "0"], "--tiles 0: give a side of at least 64 pixels, or auto"),
        (["a.png", "orange", "--tiles", "many"], "--tiles many"),
        (["a.png", "orange", "--format", "xml"], "--format"),
        (["a.png", "orange", "--colour"], "--colour"),
        (["a.png", "orange", "--json", "no/where.json"], "--json no/where.json"),
        (["a.png", "orange", "--json", "."], "--json ."),
        (["a.png", "orange", "--json", "-", "--format", "coco"], "choose one"),
        (["a.png", "b.png", "orange", "--format", "yolo"], "describes one image"),
        (["a.png", "orange", "--save", "out.xyz"], "--save out.xyz"),
        (["x" * 5000, "orange"], "cannot be opened"),
    ],
)
def test_an_error_is_one_line_and_costs_no_loading(
    run: Run, loads: list[Settings], words: list[str], message: str
) -> None:
    done = run("detect", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith("fo1: error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
    assert done.stdout == ""
    assert loads == []


@pytest.mark.parametrize("label", ["猫", "<region1>", "a<|im_end|>b", "[/red]", "🍊"])
def test_odd_labels_are_labels(run: Run, label: str) -> None:
    assert json.loads(run("detect", "a.png", label, "--json", "-").stdout)["absent"] == [label]
    assert label in run("detect", "a.png", label).stdout


def test_a_file_name_that_is_not_unicode_is_written_as_json_escapes(run: Run) -> None:
    name = "caf\udce9.png"
    Image.new("RGB", (5, 5)).save(name)
    assert json.loads(run("detect", name, "orange", "--json", "-").stdout)["image"] == name
    assert run("detect", name, "orange", "--json", "f.json", "--save", "out/").exit_code == 0
    assert json.loads(Path("f.json").read_text())["image"] == name

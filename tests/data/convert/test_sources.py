from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from fo1.cli.data_convert import Kind
from fo1.cli.main import app
from fo1.data.convert.sources import SOURCES, kind_of
from fo1.data.reading import read
from fo1.data.record import RecordError

COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80},
        {"id": 2, "file_name": "gone.jpg", "width": 100, "height": 80},
    ],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


def test_the_command_knows_all_sources() -> None:
    assert get_args(Kind) == ("auto", *SOURCES)


@pytest.mark.parametrize(
    ("kind", "files", "name"),
    [
        ("coco", {"i.json": COCO}, "i.json"),
        ("lvis", {"i.json": {"images": [{"neg_category_ids": []}]}}, "i.json"),
        ("llava", {"i.json": [{"conversations": []}]}, "i.json"),
        ("llava", {"i.jsonl": ""}, "i.jsonl"),
        ("counting", {"i.json": [{"question": "", "bboxes": []}]}, "i.json"),
        ("coco-text", {"i.json": {"cats": {}, "anns": {}, "imgs": {}}}, "i.json"),
        ("visual-genome", {"r.json": [{"regions": [{"phrase": "a"}]}]}, "r.json"),
        ("visual-genome", {"region_descriptions.json": []}, ""),
        ("labelme", {"x/a.json": {"shapes": []}}, ""),
        ("labelme", {"a.json": {"shapes": []}}, "a.json"),
        ("yolo", {"labels/train/a.txt": "", "classes.txt": ""}, ""),
        ("yolo", {"data.yaml": ""}, "data.yaml"),
        ("voc", {"Annotations/a.xml": ""}, ""),
        ("flickr30k", {"Sentences/1.txt": "", "Annotations/1.xml": ""}, ""),
        ("refcoco", {"refs(umd).p": ""}, ""),
    ],
)
def test_kinds_are_told_apart(write: Any, tmp_path: Path, kind: str, files: Any, name: str) -> None:
    for file, content in files.items():
        write(file, content)
    assert kind_of(tmp_path / name) == kind


def test_what_is_none_of_them_is_told_what_is(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot tell what this is; say so by --kind.*yolo: a YOLO folder"):
        kind_of(tmp_path)
    with pytest.raises(RecordError, match="no such file or folder"):
        kind_of(tmp_path / "none")


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["data", "convert", *map(str, words)], catch_exceptions=False)


def test_the_command(write: Any, photo: Any, tmp_path: Path) -> None:
    root = photo("photos/a.jpg")
    source, out = write("instances.json", COCO), tmp_path / "out.jsonl"
    words = [source, "--images", root / "photos", "--out", out, "--paraphrases", 0]
    done = run(*words, "--log", tmp_path / "log.txt", "--tasks", "detect, name")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{out}: 1 images with 2 dialogues from coco; 0 had nothing to ask, 1 pr")
    assert "problem: 1 × missing image" in done.stderr
    assert (tmp_path / "log.txt").read_text() == "instances.json, image 2: gone.jpg: missing image\n"
    (record,) = read(out)
    assert record.image.path == "photos/a.jpg" and record.boxes.tolist() == [[10, 20, 40, 60]]
    assert "<ground>cat</ground><objects><region0></objects>" in record.dialogues[0][1].text
    again = out.read_bytes()
    assert run(*words, "--tasks", "detect,name").exit_code == 0 and out.read_bytes() == again


def test_the_command_on_bad_input(write: Any, photo: Any, tmp_path: Path) -> None:
    root = photo("a.jpg")
    source, out = write("instances.json", COCO), tmp_path / "out.jsonl"
    done = run(source, "--out", out, "--strict")
    assert done.exit_code == 2 and "image 2: gone.jpg: missing image" in done.stderr and not out.exists()
    done = run(source, "--out", out, "--tasks", "detekt")
    assert done.exit_code == 2 and "unknown task 'detekt'; known are detect, count" in done.stderr
    done = run(source, "--out", out, "--split", "val")
    assert done.exit_code == 2 and "coco files hold one split each" in done.stderr
    done = run(source, "--out", out, "--tasks", "read")
    assert done.exit_code == 2 and "nothing to train on came out" in done.stderr
    done = run(root, "--kind", "yolo", "--out", out)
    assert done.exit_code == 2 and "expected a YOLO folder" in done.stderr


def test_conversations_about_one_image_get_ids_of_their_own(write: Any, photo: Any, tmp_path: Path) -> None:
    photo("a.jpg")
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cup."}]
    source = write("mix.json", [{"id": "7", "image": "a.jpg", "conversations": talk}] * 2)
    assert run(source, "--out", tmp_path / "out.jsonl").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["7", "7#2"]

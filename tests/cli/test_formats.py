from __future__ import annotations

import json

from cli.fakes import Run
from fo1.detections import Detections


def test_coco_is_one_data_set_of_all_images(run: Run) -> None:
    data = json.loads(run("detect", "a.png", "b.png", "dog, orange", "--format", "coco").stdout)
    assert data["categories"] == [{"id": 1, "name": "dog"}, {"id": 2, "name": "orange"}]
    assert [a["id"] for a in data["annotations"]] == [1, 2, 3, 4]
    second = Detections.from_coco(data, image_id=2)
    assert second.labels == ("orange", "orange")
    assert second.xyxy[0].tolist() == [10, 20, 30, 40]


def test_yolo_numbers_classes_as_asked(run: Run) -> None:
    text = run("detect", "a.png", "dog, orange", "--format", "yolo").stdout
    assert text.splitlines()[0] == "1 0.200000 0.375000 0.200000 0.250000"


def test_labelme_names_the_image(run: Run) -> None:
    data = json.loads(run("detect", "a.png", "orange", "--format", "labelme").stdout)
    assert data["imagePath"] == "a.png"
    assert data["shapes"][0]["points"] == [[10, 20], [30, 40]]


def test_jsonl_is_one_detection_a_line(run: Run) -> None:
    text = run("detect", "a.png", "b.png", "orange", "--format", "jsonl").stdout
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["image"] for row in rows] == ["a.png", "a.png", "b.png", "b.png"]
    assert rows[0]["box"] == [10, 20, 30, 40]


def test_json_format_is_what_json_writes(run: Run) -> None:
    printed, written = (
        json.loads(run("detect", "a.png", "orange", *words).stdout)
        for words in (("--format", "json"), ("--json", "-"))
    )
    del printed["seconds"], written["seconds"]
    assert printed == written

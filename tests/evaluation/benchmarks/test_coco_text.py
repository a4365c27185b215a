from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks.scripted_scene import draw, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.coco_text import CocoText, letters, plain, similarity


def image(number: int, split: str) -> dict[str, Any]:
    name = f"COCO_train2014_{number:012}.jpg"
    return {"id": number, "set": split, "width": 200, "height": 100, "file_name": name}


def text(number: int, on: int, written: str, legibility: str = "legible") -> dict[str, Any]:
    return {
        "id": number,
        "image_id": on,
        "bbox": [10.0 * number, 5.0, 8.0, 4.0],
        "utf8_string": written,
        "legibility": legibility,
        "class": "machine printed",
        "language": "english",
    }


TEXTS = [
    text(1, 7, ""),
    text(2, 7, "STOP!"),
    text(3, 7, "here", "illegible"),
    text(4, 8, "x"),
    text(5, 7, "7 up"),
]
DATA = {
    "imgs": {"7": image(7, "val"), "8": image(8, "train"), "9": image(9, "val")},
    "anns": {str(one["id"]): one for one in TEXTS},
    "cats": {},
    "imgToAnns": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "cocotext.v2.json", DATA)
    draw(*(tmp_path / "train2014" / f"COCO_train2014_{n:012}.jpg" for n in (7, 8)))
    return tmp_path


def test_the_official_layout(folder: Path) -> None:
    stop, drink = CocoText().open(folder, "val")
    assert stop.image == folder / "train2014" / "COCO_train2014_000000000007.jpg"
    assert (stop.id, stop.truth.region, stop.truth.texts) == ("7-2", 1, ("STOP!",))
    assert (drink.id, drink.truth.region, drink.truth.texts) == ("7-5", 3, ("7 up",))
    assert stop.boxes is drink.boxes and stop.boxes is not None
    assert stop.boxes.tolist() == [[10 * n, 5, 10 * n + 8, 9] for n in (1, 2, 3, 5)], "all texts are shown"
    assert [s.id for s in CocoText().open(folder, "train")] == ["8-4"]


def test_the_task_of_the_released_model(folder: Path) -> None:
    stop, _ = CocoText().open(folder, "val")
    question = "Please provide the ocr results of <region1> in the image."
    assert CocoText().ask(TalkingScene([[0, 0, 9, 9]] * 4, {question: "stop"}), stop) == {"text": "stop"}


def test_figures_by_hand(folder: Path) -> None:
    stop, drink = CocoText().open(folder, "val")
    metric = CocoText().metric()
    metric.update(stop, {"text": " stop!\n"})  # right in both ways
    metric.update(stop, {"text": "Stop"})  # but for a mark
    metric.update(drink, {"text": "7up"})  # but for a space
    metric.update(drink, None)
    assert metric.compute() == pytest.approx(
        {"accuracy": 1 / 4, "letters and digits": 3 / 4, "characters": (1 + 4 / 5 + 3 / 4 + 0) / 4}
    )


def test_what_is_compared() -> None:
    assert plain("  Straße\n 7 ") == "strasse 7" and letters("A-1 ü!") == "a1ü"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 1),
        ("", "stop", 0),
        ("stop", "stop", 1),
        ("kitten", "sitting", 1 - 3 / 7),
        ("abc", "xyz", 0),
        ("top", "stop", 3 / 4),
    ],
)
def test_how_alike_texts_are(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)
    assert similarity(other, one) == pytest.approx(expected)


@pytest.mark.parametrize("data", [[], {"imgs": {}}, {"images": [], "annotations": []}])
def test_another_version(folder: Path, data: Any) -> None:
    write_json(folder / "cocotext.v2.json", data)
    with pytest.raises(BenchmarkError, match=r"cocotext\.v2\.json: expected COCO-Text 2\.0.*another version"):
        CocoText().open(folder, "val")


def test_images_of_something_else(tmp_path: Path) -> None:
    write_json(tmp_path / "cocotext.v2.json", DATA)
    with pytest.raises(BenchmarkError, match="none of its 1 images is in .*train2014"):
        CocoText().open(tmp_path, "val")

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import draw, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.region_names import RegionNames, lvis_regions, paco_regions, said_name, tidy
from fo1.types import FloatArray

FILE = "lvis_val_1k_category.json"
QUESTION = "What is the category of <region{}>? Using only one word or phrase."
ROW = {
    "id": 1,
    "file_name": "000000000001.jpg",
    "width": 200,
    "height": 100,
    "categories": ["trash_can", "jar:lid"],
    "annotations": [
        {"bbox": [10, 20, 30, 40], "segmentation": [[10, 20, 40, 60]]},
        {"segmentation": [[50, 10, 90, 30, 70, 80], [95, 20, 60, 20]]},
    ],
}


def letters(phrases: Sequence[str]) -> FloatArray:
    """A sentence encoder: how often each of a, b, c occurs."""
    return np.array([[phrase.count(letter) for letter in "abc"] for phrase in phrases], dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / FILE, [ROW])
    draw(tmp_path / "train2017" / "000000000001.jpg")
    return tmp_path


def test_the_official_layout(folder: Path) -> None:
    can, lid = lvis_regions().open(folder, "val")
    assert can.image == folder / "train2017" / "000000000001.jpg" and can.size == (200, 100)
    assert (can.truth.region, can.truth.texts) == (0, ("trash can",))
    assert (lid.truth.region, lid.truth.texts) == (1, ("jar lid",))
    assert can.boxes is lid.boxes, "one look for both"
    assert lid.boxes is not None
    assert lid.boxes.tolist() == [[10, 20, 40, 60], [50, 10, 95, 80]], "from the bbox, or around the polygons"


def test_the_question_names_the_region(folder: Path) -> None:
    _, lid = lvis_regions().open(folder, "val")
    scene = TalkingScene([[0, 0, 9, 9], [5, 5, 9, 9]], {QUESTION.format(1): "Lid."})
    assert lvis_regions().ask(scene, lid) == {"text": "Lid."}


def test_figures_by_hand(folder: Path) -> None:
    benchmark = RegionNames("lvis-regions", "LVIS", FILE, letters)
    can, lid = benchmark.open(folder, "val")
    metric = benchmark.metric()
    metric.update(can, {"text": "The category: Can, ab."})  # can ab
    metric.update(lid, None)
    # can ab = (a 2, b 1, c 1), trash can = (a 2, b 0, c 1); words: can of {can, ab, trash}.
    near = 5 / (6**0.5 * 5**0.5)
    assert metric.compute() == pytest.approx({"S-IoU": (1 / 3) / 2, "SS": near / 2})
    assert metric.score(can, {"text": "trash can"}) == 1
    assert metric.score(can, {"text": " . "}) == 0


def test_an_encoder_beside_the_annotations_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("fo1.evaluation.benchmarks.region_names.MeanPooling", asked.append)
    benchmark = lvis_regions()
    benchmark.open(folder, "val")
    benchmark.metric()
    (folder / "all-MiniLM-L6-v2").mkdir()
    benchmark.open(folder, "val")
    benchmark.metric()
    assert asked == ["sentence-transformers/all-MiniLM-L6-v2", folder / "all-MiniLM-L6-v2"]


@pytest.mark.parametrize(
    ("text", "name"), [("A_b.", "a b"), ("It is: red, cup", "red cup"), ("a: b: c", "b"), ("", "")]
)
def test_what_was_said(text: str, name: str) -> None:
    assert said_name(text) == name


def test_categories_are_words() -> None:
    assert tidy("Bow_(weapon):handle") == "bow (weapon) handle"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "annotations": ROW["annotations"][:1]}, "image 000000000001.jpg: expected an annotation"),
        ({**ROW, "annotations": [{}, {}]}, "expected an annotation with a bbox"),
        ({**ROW, "annotations": [{"segmentation": {"counts": "x"}}] * 2}, "or polygons"),
        ({"file_name": "a.jpg"}, "entry 0 of images has no annotations, categories, height, width"),
    ],
)
def test_another_file(folder: Path, row: dict[str, Any], message: str) -> None:
    write_json(folder / FILE, [row])
    with pytest.raises(BenchmarkError, match=f"{FILE}.*{message}"):
        lvis_regions().open(folder, "val")


def test_images_of_something_else(tmp_path: Path) -> None:
    write_json(tmp_path / "paco_val_1k_category.json", [ROW])
    with pytest.raises(BenchmarkError, match="none of its 1 images is in"):
        paco_regions().open(tmp_path, "val")

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import draw, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.evaluation.benchmark import BenchmarkError, Prediction, Sample
from fo1.evaluation.benchmarks.counting import Count, countbench, counted, pixmo_count

FILE = "countbench_with_upn_score_0.3_0.8.json"
TAIL = (
    " Count each instance of the target object. Locate them with object indexes and then answer the question "
    "with the number of objects."
)
BOXES = [[10, 10, 50, 50], [60, 10, 90, 50], [100, 10, 140, 50]]


def row(question: str, answer: Any, image: str, **more: Any) -> dict[str, Any]:
    return {"question": question + TAIL, "answer": answer, "image": image, "bboxes": BOXES, **more}


ROWS = [
    row("How many light bulbs are there in the image?", 3, "image_0.jpg", scores=[0.9, 0.8, 0.7]),
    row("How many stories does this cottage have?", 2, "image_1.jpg", scores=[0.9, 0.8, 0.7]),
    row("How many people in the foreground are there in the image?", 5, "image_0.jpg"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / FILE, ROWS)
    draw(tmp_path / "images" / "image_0.jpg", tmp_path / "images" / "image_1.jpg")
    return tmp_path


def test_the_official_layout(folder: Path) -> None:
    bulbs, stories, people = countbench().open(folder, "test")
    assert bulbs.image == folder / "images" / "image_0.jpg"
    assert bulbs.boxes is not None and bulbs.boxes.tolist() == BOXES
    assert bulbs.scores is not None and bulbs.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert people.scores is None, "PixMo-Count's boxes have no scores"
    assert [s.truth.thing for s in (bulbs, stories, people)] == [
        "light bulbs",
        "stories does this cottage have",
        "people in the foreground",
    ]
    assert len({bulbs.id, stories.id, people.id}) == 3


def test_a_model_that_writes_reads_the_question_as_it_is(folder: Path) -> None:
    bulbs, *_ = countbench().open(folder, "test")
    said = "<ground>light bulbs</ground><objects><region0><region2><region9></objects> There are 3."
    scene = TalkingScene(BOXES, {ROWS[0]["question"]: said})
    assert countbench().ask(scene, bulbs) == {"text": said, "regions": [0, 2]}


def test_a_model_that_points_is_asked_for_the_thing(folder: Path) -> None:
    bulbs, *_ = countbench().open(folder, "test")
    scene = TalkingScene(BOXES, scores={"light bulbs": [0.9, 0.1, 0.6]}, points=True)
    assert countbench().ask(scene, bulbs) == {"text": "", "regions": [0, 2]}


@pytest.mark.parametrize(
    ("text", "regions", "number"),
    [
        ("<ground>cups</ground><objects><region0><region12></objects> So there are 4 cups.", 2, 4),
        ("<ground>7 up cans</ground><objects><region0></objects>", 1, 1),
        ("I counted 3, no, 12.", 0, 12),
        ("There are some.", 2, 2),
        ("", 0, 0),
    ],
)
def test_the_number_of_an_answer(text: str, regions: int, number: int) -> None:
    assert counted(text, regions) == number


def test_figures_by_hand() -> None:
    metric = countbench().metric()

    def add(number: int, prediction: Prediction | None) -> Sample[Count]:
        sample = Sample("a", Path("a.jpg"), Count("", "cups", number))
        metric.update(sample, prediction)
        return sample

    right = add(3, {"text": "3", "regions": []})
    near = add(3, {"text": "", "regions": [1, 2]})
    add(9, {"text": "4", "regions": [1]})
    failed = add(1, None)
    assert metric.compute() == {
        "accuracy": 1 / 4,
        "within one": 2 / 4,  # a failed sample is not within one of 1
        "mean absolute error": (0 + 1 + 5 + 1) / 4,
    }
    assert metric.score(right, {"text": "3", "regions": []}) == 1
    assert metric.score(near, {"text": "4", "regions": []}) == metric.score(failed, None) == 0


def test_both_files_of_the_released_evaluation() -> None:
    assert pixmo_count().file == "pixmoCount_with_upn_score_0.3_0.8.json"
    assert countbench().file == FILE


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": 1}, "must be a list"),
        ([{"question": "How many?", "answer": 1}], "entry 0 of questions has no bboxes, image"),
        ([row("Where is it?", 3, "image_0.jpg")], 'entry 0: expected a question "How many'),
        ([row("How many cups are there in the image?", "3", "image_0.jpg")], "with a whole number"),
        ([row("How many cups are there in the image?", 3, "other.jpg")], "none of its 1 images"),
    ],
)
def test_another_file(folder: Path, rows: Any, message: str) -> None:
    write_json(folder / FILE, rows)
    with pytest.raises(BenchmarkError, match=f"{FILE}.*{message}"):
        countbench().open(folder, "test")


def test_an_image_that_is_missing_has_a_sample_that_will_fail(folder: Path) -> None:
    (folder / "images" / "image_1.jpg").unlink()
    samples = countbench().open(folder, "test")
    assert len(samples) == 3 and samples[1].image == folder / "image_1.jpg"


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=f"{FILE} does not exist; expected a list of"):
        countbench().open(tmp_path, "test")


def test_boxes_stay_as_they_are(folder: Path) -> None:
    samples = countbench().open(folder, "test")
    assert all(s.boxes is not None and s.boxes.dtype == np.float32 for s in samples)

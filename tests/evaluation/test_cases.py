from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fo1.evaluation.__main__ import line
from fo1.evaluation.cases import Case, photo_cases, scene_cases
from fo1.training.names import conflicts
from training.miniature import Painted

PHOTOS = Path(__file__).resolve().parents[2] / "photos"
WORDS = ["hammer", "piano", "car", "sheep", "fruit", "orange", "tangerine", "flower", "boat", "bed"]
BOXES = np.arange(16, dtype=np.float32).reshape(4, 4)


def scene(names: tuple[str, ...], present: tuple[str, ...] = ()) -> Painted:
    return Painted(Image.new("RGB", (40, 30)), BOXES[: len(names)], names, present)


def only(case: Painted, absent: int = 3, vocabulary: list[str] = WORDS, seed: int = 0) -> Case:
    (made,) = scene_cases([case], vocabulary, absent, seed)
    return made


def test_boxes_are_gathered_by_name() -> None:
    case = only(scene(("car", "orange", "car")))
    assert list(case.present) == ["car", "orange"]
    np.testing.assert_array_equal(case.present["car"], BOXES[[0, 2]])
    np.testing.assert_array_equal(case.present["orange"], BOXES[[1]])


def test_a_wider_name_has_the_boxes_of_narrower_ones_after_its_own() -> None:
    case = only(scene(("armchair", "chair", "car")))
    np.testing.assert_array_equal(case.present["chair"], BOXES[[1, 0]])
    np.testing.assert_array_equal(case.present["armchair"], BOXES[[0]])


@pytest.mark.parametrize("hidden", ["chair", "armchair", "furniture"])
def test_a_name_whose_boxes_may_be_incomplete_is_not_asked(hidden: str) -> None:
    case = only(scene(("chair", "car"), (hidden,)))
    assert list(case.present) == ["car"]
    assert not any(conflicts(word, hidden) for word in case.absent)


@pytest.mark.parametrize("seed", range(20))
def test_absent_labels_are_absent(seed: int) -> None:
    case = only(scene(("orange", "car"), ("flower",)), seed=seed)
    assert len(set(case.absent)) == 3
    assert set(case.absent) <= {"hammer", "piano", "sheep", "boat", "bed"}


def test_a_small_vocabulary_gives_fewer_absent_labels() -> None:
    assert set(only(scene(("car",)), absent=4, vocabulary=["car", "piano", "bed"]).absent) == {"piano", "bed"}


def test_the_seed_decides_what_is_drawn() -> None:
    scenes = [scene(("car",))] * 10
    drawn = [[c.absent for c in scene_cases(scenes, WORDS, 2, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 1


def test_photos_with_their_annotations(tmp_path: Path) -> None:
    things = [
        {"label": "cup", "box": [1, 2, 3, 4]},
        {"label": "spoon", "box": [0, 0, 1, 1]},
        {"label": "cup", "box": [5, 6, 7, 8], "also": ["mug"]},
    ]
    entries = [{"image": "a.jpg", "objects": things, "absent": ["dog"]}]
    (tmp_path / "annotations.json").write_text(json.dumps(entries), encoding="utf-8")
    (case,) = photo_cases(tmp_path)
    assert case.image == tmp_path / "a.jpg" and case.absent == ("dog",)
    np.testing.assert_array_equal(case.present["cup"], [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert case.present["spoon"].dtype == np.float32


def test_the_photos_that_come_with_the_project() -> None:
    cases = list(photo_cases(PHOTOS))
    assert len(cases) > 20
    for case in cases:
        assert isinstance(case.image, Path) and not set(case.present) & set(case.absent)
        with Image.open(case.image) as image:
            width, height = image.size
        for label, boxes in case.present.items():
            assert label == label.strip().lower()
            assert (boxes[:, 2:] > boxes[:, :2]).all()
            assert (boxes >= 0).all() and (boxes <= [width, height, width, height]).all()


def test_a_line_of_figures_is_json_even_without_any() -> None:
    written = line("photos", {"F1": 0.12345, "AUC": float("nan"), "objects": 3})
    assert json.loads(written, parse_constant=pytest.fail) == {
        "set": "photos",
        "F1": 0.123,
        "AUC": None,
        "objects": 3,
    }

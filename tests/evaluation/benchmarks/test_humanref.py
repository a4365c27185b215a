from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import draw, figures
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.humanref import HumanRef, HumanRefCandidates, matched

ANN, BEN, EVE = [0, 0, 40, 40], [50, 0, 90, 40], [100, 0, 140, 40]


def row(number: int, domain: str, referring: str, answers: list[list[float]]) -> dict[str, Any]:
    return {
        "id": number,
        "image_name": "a.jpg",
        "referring": referring,
        "domain": domain,
        "sub_domain": f"1000_{domain}_with_mask",
        "candidate_boxes": [ANN, BEN, EVE],
        "answer_boxes": answers,
        "answer_segmentations": [],
    }


ROWS = [
    row(0, "attribute", "people in red", [ANN, BEN]),
    row(1, "position", "leftmost person", [ANN]),
    row(2, "rejection", "person on a horse", []),
    row(3, "rejection", "person with a kite", []),
]


def folder(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    (path / "annotations.jsonl").write_text(lines, encoding="utf-8")
    draw(path / "images" / "a.jpg")
    return path


def test_reads_the_official_layout(tmp_path: Path) -> None:
    samples = HumanRef().open(folder(tmp_path), "test")
    assert [sample.id for sample in samples] == ["attribute/0", "position/1", "rejection/2", "rejection/3"]
    assert samples[0].truth.xyxy.tolist() == [ANN, BEN] and samples[0].truth.labels == ("people in red",)
    assert samples[2].truth.xyxy.shape == (0, 4) and samples[2].boxes is None
    given = HumanRefCandidates().open(tmp_path, "test")[2].boxes
    assert given is not None and given.tolist() == [ANN, BEN, EVE]
    assert HumanRefCandidates.keeps_boxes and not HumanRef.keeps_boxes


def test_figures_by_hand(tmp_path: Path) -> None:
    samples = HumanRef().open(folder(tmp_path), "test")
    everybody = [ANN, BEN, EVE]
    found = figures(
        HumanRef(),
        samples,
        {
            # two of three right: recall 1, precision 2/3, F1 4/5, and 2/3 of it, as one too many is named
            "attribute/0": (everybody, {"people in red": [0.9, 0.8, 0.7]}),
            # a box of IoU 0.7 (to float32, just below it): right at 0.5, 0.55, 0.6 and 0.65
            "position/1": ([[0, 0, 40, 27.99]], {"leftmost person": [0.9]}),
            "rejection/2": (everybody, {"person on a horse": [0.1, 0.2, 0.3]}),
            "rejection/3": None,
        },
    )
    assert found["DF1 attribute"] == pytest.approx(4 / 5 * 2 / 3)
    assert found["DF1 position"] == pytest.approx(0.4) and np.isnan(found["DF1 celebrity"])
    assert found["DF1"] == pytest.approx((8 / 15 + 0.4) / 2)
    assert found["precision"] == pytest.approx((2 / 3 + 0.4) / 2)
    assert found["recall"] == pytest.approx((1 + 0.4) / 2)
    assert found["DF1@0.5"] == pytest.approx((8 / 15 + 1) / 2) and found["recall@0.5"] == 1
    assert found["rejection"] == 0.5  # a failed sample refuses nothing


def test_naming_too_few_is_not_punished_twice(tmp_path: Path) -> None:
    samples = HumanRef().open(folder(tmp_path, ROWS[:1]), "test")
    found = figures(HumanRef(), samples, {"attribute/0": ([ANN, EVE], {"people in red": [0.9, 0.1]})})
    assert found["DF1"] == pytest.approx(2 / 3) and found["precision"] == 1 and found["recall"] == 0.5
    assert np.isnan(found["rejection"])


def test_worst_cases_are_ordered_by_df1_or_refusal(tmp_path: Path) -> None:
    there, _, refusal, _ = HumanRef().open(folder(tmp_path), "test")
    metric = HumanRef().metric()
    assert metric.score(there, None) == metric.score(refusal, None) == 0.0


def test_each_true_box_takes_the_best_free_one() -> None:
    found = np.array([[0, 0, 40, 40], [0, 0, 40, 30]], np.float32)
    truth = np.array([[0, 0, 40, 30], [0, 0, 40, 40]], np.float32)
    assert matched(found, truth, 0.9) == 2
    assert matched(found[:1], truth, 0.5) == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": 1}], "entry 0 of expressions has no answer_boxes, candidate_boxes"),
        (
            [row(4, "rejection", "nobody", [ANN])],
            "expression 4 of domain 'rejection' has 1 boxes; expected none",
        ),
        ([row(4, "attribute", "people", [])], "expression 4 of domain 'attribute' has 0 boxes"),
        ([row(4, "mood", "people", [ANN])], "domain 'mood'"),
        ([row(4, "attribute", "people", [[1, 2, 3]])], "expression 4 has boxes that are not"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(BenchmarkError, match=r"annotations\.jsonl.*" + said):
        HumanRef().open(folder(tmp_path, rows), "test")


def test_a_cut_off_file_and_a_wrong_folder_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path) / "annotations.jsonl"
    path.write_text(path.read_text()[:-20], encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"annotations\.jsonl:4 is not JSON"):
        HumanRef().open(tmp_path, "test")
    with pytest.raises(BenchmarkError, match=r"annotations\.jsonl does not exist"):
        HumanRef().open(tmp_path / "images", "test")

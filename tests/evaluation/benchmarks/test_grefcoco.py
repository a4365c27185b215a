from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import categories, draw, figures, image, thing, write_json
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.grefcoco import GRefCoco, covered_iou, matched

LEFT, RIGHT, FAR = [0, 0, 40, 40], [100, 0, 140, 40], [60, 60, 90, 90]


def ref(number: int, targets: list[int], phrase: str) -> dict[str, Any]:
    return {
        "ref_id": number,
        "image_id": 1,
        "ann_id": targets,
        "category_id": [-1] if targets == [-1] else [1] * len(targets),
        "no_target": targets == [-1],
        "split": "val",
        "file_name": "COCO_train2014_000000000001.jpg",
        "sentences": [{"sent_id": number, "sent": phrase, "raw": phrase, "tokens": phrase.split()}],
    }


REFS = [
    ref(1, [10, 11], "both cats"),
    ref(2, [10], "left cat"),
    ref(3, [-1], "the dog"),
    ref(4, [-1], "the bird"),
    ref(5, [11], "right cat"),
]


def folder(path: Path, refs: list[dict[str, Any]] = REFS) -> Path:
    instances = {
        "images": [image(1)],
        "annotations": [thing(10, 1, 1, [0, 0, 40, 40]), thing(11, 1, 1, [100, 0, 40, 40])],
        "categories": categories(["cat"], 1),
    }
    write_json(path / "grefcoco" / "instances.json", instances)
    write_json(path / "grefcoco" / "grefs(unc).json", refs)
    draw(path / "train2014" / "000000000001.jpg")
    return path


def test_one_thing_several_or_none(tmp_path: Path) -> None:
    samples = GRefCoco().open(folder(tmp_path), "val")
    assert [sample.truth.xyxy.tolist() for sample in samples] == [[LEFT, RIGHT], [LEFT], [], [], [RIGHT]]
    assert samples[2].truth.labels == ("the dog",)


def test_figures_by_hand(tmp_path: Path) -> None:
    samples = GRefCoco().open(folder(tmp_path), "val")
    found = figures(
        GRefCoco(),
        samples,
        {
            "1-0": ([LEFT, RIGHT, FAR], {"both cats": [0.9, 0.8, 0.4]}),  # all, and no more is reported
            "2-0": ([LEFT, RIGHT], {"left cat": [0.9, 0.7]}),  # one too many; areas 1600 of 3200
            "3-0": ([LEFT, RIGHT], {"the dog": [0.1, 0.2]}),  # refused
            "4-0": ([LEFT], {"the bird": [0.9]}),  # not refused
            "5-0": ([LEFT], {"right cat": [0.2]}),  # wrongly refused
        },
    )
    assert found == {
        "Pr@F1=1": 2 / 5,
        "N-acc": 1 / 2,
        "T-acc": 2 / 3,
        "gIoU": pytest.approx((1 + 0.5 + 1) / 5),
        # In 1,600 pixels: both of two; one of two; rightly none; one that is nothing; none of one.
        "cIoU": pytest.approx((2 + 1 + 0 + 0 + 0) / (2 + 2 + 0 + 1 + 1)),
    }


def test_a_failed_sample_is_no_refusal(tmp_path: Path) -> None:
    samples = GRefCoco().open(folder(tmp_path), "val")
    found = figures(GRefCoco(), samples, dict.fromkeys((sample.id for sample in samples), None))
    assert found == {"Pr@F1=1": 0, "N-acc": 0, "T-acc": 0, "gIoU": 0, "cIoU": 0}


def test_a_figure_without_samples_is_nan(tmp_path: Path) -> None:
    samples = [one for one in GRefCoco().open(folder(tmp_path), "val") if one.id == "2-0"]
    found = figures(GRefCoco(), samples, {"2-0": ([LEFT], {"left cat": [0.9]})})
    assert found["Pr@F1=1"] == 1 and np.isnan(found["N-acc"])


def test_a_box_is_matched_once() -> None:
    twice = np.array([LEFT, [0, 0, 40, 36]], np.float32)
    assert matched(twice, np.array([LEFT], np.float32)) == 1
    assert matched(twice, np.array([LEFT, RIGHT], np.float32)) == 1
    assert matched(np.zeros((0, 4), np.float32), twice) == 0


def test_areas_of_sets_overlap() -> None:
    """Boxes that overlap within a set cover their area once."""
    crossing = np.array([[0, 0, 20, 10], [10, 0, 30, 10]], np.float32)  # 30 wide together
    assert covered_iou(crossing, np.array([[0, 0, 30, 10]], np.float32)) == pytest.approx(1.0)
    assert covered_iou(crossing, np.array([[15, 0, 45, 10]], np.float32)) == pytest.approx(15 / 45)
    assert covered_iou(crossing, np.zeros((0, 4), np.float32)) == 0.0


def test_against_pixels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        sets = []
        for count in rng.integers(1, 5, 2):
            low = rng.integers(0, 20, (count, 2))
            sets.append(
                np.concatenate([low, low + rng.integers(1, 12, (count, 2))], axis=1).astype(np.float32)
            )
        pixels = np.zeros((2, 40, 40), bool)
        for mask, boxes in zip(pixels, sets, strict=True):
            for x1, y1, x2, y2 in boxes.astype(int):
                mask[y1:y2, x1:x2] = True
        one, other = pixels
        assert covered_iou(*sets) == pytest.approx((one & other).sum() / (one | other).sum())


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"grefs\(unc\)\.json: reference 1 is of annotation 77"):
        GRefCoco().open(folder(tmp_path, [ref(1, [10, 77], "cats")]), "val")
    with pytest.raises(BenchmarkError, match=r"grefs\(unc\)\.json has no reference of split 'testA'"):
        GRefCoco().open(tmp_path, "testA")
    with pytest.raises(BenchmarkError, match=r"grefs\(unc\)\.json does not exist; expected the references"):
        GRefCoco().open(tmp_path / "grefcoco", "val")

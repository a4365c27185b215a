from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import ScriptedScene, categories, draw, image, thing, write_json
from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.evaluation.benchmarks.proposal_recall import ProposalRecall, Recall
from fo1.evaluation.truth import BoxTruth

FAR = [150, 80, 160, 90]


def sample(*boxes: list[float], crowd: list[bool] | None = None) -> Sample[BoxTruth]:
    truth = BoxTruth.of(np.array(boxes, np.float32), ["cup"] * len(boxes), crowd=crowd)
    return Sample("a", Path("a.jpg"), truth)


def said(boxes: list[list[float]], scores: list[float] | None = None) -> dict[str, Any]:
    return {"boxes": boxes, "scores": scores or [1.0] * len(boxes)}


def test_overlaps_by_hand() -> None:
    metric = Recall()
    truth = sample([0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60])
    # IoU 1 with the first, 0.8 with the second; the third has none.
    metric.update(truth, said([[0, 0, 10, 10], [20, 0, 30, 8]]))
    figures = metric.compute()
    assert [figures[f"R@10 IoU {overlap}"] for overlap in (0.5, 0.7, 0.9)] == pytest.approx(
        [2 / 3, 2 / 3, 1 / 3]
    )
    assert figures["proposals per image"] == 2


def test_the_best_by_score_count() -> None:
    hit, thing_box = [0, 0, 10, 10], sample([0, 0, 10, 10])
    boxes = [hit, *[FAR] * 10]
    metric = Recall()
    metric.update(thing_box, said(boxes, [0.1, *[0.9] * 10]))
    figures = metric.compute()
    assert (figures["R@10 IoU 0.5"], figures["R@50 IoU 0.5"]) == (0, 1)
    metric.reset()
    metric.update(thing_box, said(boxes, [0.95, *[0.9] * 10]))
    assert metric.compute()["R@10 IoU 0.5"] == 1


def test_failed_images_and_crowds() -> None:
    metric = Recall()
    metric.update(sample([0, 0, 10, 10]), None)
    metric.update(sample([0, 0, 10, 10], FAR, crowd=[False, True]), said([[0, 0, 10, 10]]))
    figures = metric.compute()
    assert figures["R@300 IoU 0.9"] == 1 / 2 and figures["proposals per image"] == 1 / 2
    assert metric.score(sample([0, 0, 10, 10], FAR), said([FAR])) == 1 / 2
    assert metric.score(sample(FAR), said([])) == metric.score(sample(FAR), None) == 0


def test_the_proposals_of_a_scene() -> None:
    scene = ScriptedScene([FAR, [0, 0, 5, 5]], {})
    assert ProposalRecall().ask(scene, sample(FAR)) == {"boxes": [FAR, [0, 0, 5, 5]], "scores": [1, 1]}
    assert scene.asked == []


@pytest.mark.parametrize("where", ["", "images", "val2017"])
@pytest.mark.parametrize("file", ["labels.json", "annotations/instances_val2017.json"])
def test_any_coco_ground_truth(tmp_path: Path, where: str, file: str) -> None:
    data = {
        "images": [image(1), image(2), image(3)],
        "annotations": [thing(1, 1, 1, [0, 0, 10, 10]), thing(2, 3, 1, [0, 0, 10, 10], iscrowd=1)],
        "categories": categories(["cup"], 1),
    }
    write_json(tmp_path / file, data)
    draw(tmp_path / where / f"{1:012}.jpg")
    (only,) = ProposalRecall().open(tmp_path, "coco")
    assert only.image == tmp_path / where / f"{1:012}.jpg", "images without things have no say"
    assert only.truth.xyxy.tolist() == [[0, 0, 10, 10]]


def test_which_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="must hold one JSON.*it holds none"):
        ProposalRecall().open(tmp_path, "coco")
    write_json(tmp_path / "a.json", {})
    with pytest.raises(BenchmarkError, match="a.json.*expected an instances file in COCO's form"):
        ProposalRecall().open(tmp_path, "coco")
    write_json(tmp_path / "b.json", {})
    with pytest.raises(BenchmarkError, match="it holds a.json, b.json"):
        ProposalRecall().open(tmp_path, "coco")

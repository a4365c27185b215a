from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.answers import grounded
from evaluation.benchmarks.scripted_scene import ScriptedScene, draw, figures, image, thing, write_json
from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.ovdeval import TASKS, OvdEval, suppressed

OFF, ON = "computer without screen on", "computer with screen on"
LEFT, RIGHT = [0, 0, 40, 40], [100, 0, 140, 40]


def task(texts: list[str], negatives: list[str]) -> dict[str, Any]:
    """The release numbers categories and images from 0."""
    return {
        "categories": [{"supercategory": "object", "id": 0, "name": OFF}, {"id": 1, "name": ON}],
        "annotations": [thing(0, 0, 0, [0, 0, 40, 40])],
        "images": [image(0, text=texts, neg_text=negatives)],
    }


def folder(path: Path) -> Path:
    for name in TASKS:
        write_json(path / "annotations" / f"{name}.json", task([OFF], [ON]))
        draw(path / "images" / name / "000000000000.jpg")
    return path


def test_asks_for_an_images_own_labels(tmp_path: Path) -> None:
    samples = OvdEval().open(folder(tmp_path), "all")
    assert [sample.id for sample in samples] == [f"{name}/0" for name in TASKS]
    (sample,) = OvdEval().open(tmp_path, "color")
    assert sample.image == tmp_path / "images" / "color" / "000000000000.jpg"
    scene = ScriptedScene([LEFT], {})
    OvdEval().ask(scene, sample)
    assert scene.asked == [[OFF, ON]]


def test_nms_ap_by_hand(tmp_path: Path) -> None:
    samples = OvdEval().open(folder(tmp_path), "all")
    right = ([LEFT, RIGHT], {OFF: [0.9, 0.0], ON: [0.0, 0.8]})
    both = ([LEFT, RIGHT], {OFF: [0.6, 0.0], ON: [0.7, 0.0]})  # of one box two labels, the wrong one surer
    surer = ([LEFT, RIGHT], {OFF: [0.7, 0.0], ON: [0.6, 0.0]})
    tied = ([LEFT, RIGHT], {OFF: [0.7, 0.0], ON: [0.7, 0.0]})  # as in the original, the later label stays
    said = dict.fromkeys(TASKS, right) | {"color": both, "logo": surer, "material": tied}
    found = figures(OvdEval(), samples, {f"{name}/0": answer for name, answer in said.items()})
    assert found["NMS-AP negation"] == found["NMS-AP logo"] == pytest.approx(1.0)
    assert found["NMS-AP color"] == found["NMS-AP material"] == pytest.approx(0.0)
    assert found["NMS-AP"] == pytest.approx(6 / 8)


def test_plain_ap_would_be_inflated(tmp_path: Path) -> None:
    (sample,) = OvdEval().open(folder(tmp_path), "color")
    plain = AveragePrecision()
    plain.update(sample, OvdEval().ask(ScriptedScene([LEFT], {OFF: [0.6], ON: [0.7]}), sample))
    assert plain.compute()["AP"] == pytest.approx(1.0)


def test_what_stays_of_each_thing() -> None:
    """The best box near a true one, and all that are near none; the true things' labels do not matter."""
    boxes = [LEFT, [0, 0, 40, 30], [0, 0, 40, 15], RIGHT]
    answer = grounded(boxes, {OFF: [0.5, 0.9, 0.3, 0.2], ON: [0.6, 0.1, 0.0, 0.0]})
    kept = suppressed(answer, np.array([[0, 0, 40, 40]], np.float32)).ranked
    assert kept == {OFF: (1, 2, 3), ON: (2, 3)}
    # The best box of either thing stays, though the other has a better one.
    close = np.array([[0, 0, 40, 40], [0, 0, 40, 18]], np.float32)
    assert suppressed(answer, close).ranked == {OFF: (1, 3), ON: (3,)}


def test_another_version_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    write_json(tmp_path / "annotations" / "logo.json", task([OFF], [ON]) | {"images": [image(0, text=[OFF])]})
    with pytest.raises(BenchmarkError, match=r"logo\.json: entry 0 of images has no neg_text"):
        OvdEval().open(tmp_path, "all")
    write_json(tmp_path / "annotations" / "logo.json", task("lamp", []))  # type: ignore[arg-type]
    with pytest.raises(BenchmarkError, match=r"logo\.json: text of image 0 is no list of labels"):
        OvdEval().open(tmp_path, "logo")
    (tmp_path / "annotations" / "color.json").unlink()
    with pytest.raises(BenchmarkError, match=r"color\.json does not exist; expected the sub-task color"):
        OvdEval().open(tmp_path, "all")

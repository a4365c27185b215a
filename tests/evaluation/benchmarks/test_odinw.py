from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmarks.scripted_scene import (
    ScriptedScene,
    categories,
    draw,
    figures,
    image,
    thing,
    write_json,
)
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.odinw import SETS, Odinw13, annotation_file

WHOLE = [0, 0, 40, 40]


def folder(path: Path, split: str = "val") -> Path:
    """Each set has one image with one thing of its first class."""
    for name in SETS:
        file = annotation_file(path, name, split)
        write_json(
            file,
            {
                "images": [image(0)],
                "annotations": [thing(1, 0, 1, WHOLE)],
                "categories": categories([f"{name} thing", "other"], 2),
            },
        )
        draw(file.parent / "000000000000.jpg")
    return path


def test_layout(tmp_path: Path) -> None:
    file = "annotations_without_background.json"
    assert len(SETS) == 13
    assert annotation_file(tmp_path, "AerialMaritimeDrone", "val") == (
        tmp_path / "AerialMaritimeDrone" / "large" / "valid" / file
    )
    assert annotation_file(tmp_path, "pistols", "test") == tmp_path / "pistols" / "export" / f"test_{file}"
    assert annotation_file(tmp_path, "PascalVOC", "test") == tmp_path / "PascalVOC" / "valid" / file


def test_ap_of_each_set_and_their_mean(tmp_path: Path) -> None:
    benchmark = Odinw13()
    samples = benchmark.open(folder(tmp_path), "val")
    assert [sample.id for sample in samples] == [f"{name}/0" for name in SETS]
    # two sets are right, one has a false alarm before the right box, the others find nothing
    right = ([WHOLE, [60, 60, 90, 90]], [0.9, 0.0])
    late = ([WHOLE, [60, 60, 90, 90]], [0.8, 0.9])
    script = dict.fromkeys(SETS, ([[60, 60, 90, 90]], [0.9])) | {
        "Aquarium": right,
        "pothole": right,
        "Raccoon": late,
    }
    found = figures(
        benchmark,
        samples,
        {f"{name}/0": (boxes, {f"{name} thing": scores}) for name, (boxes, scores) in script.items()},
    )
    assert found["AP Aquarium"] == found["AP pothole"] == pytest.approx(1.0)
    assert found["AP Raccoon"] == pytest.approx(0.5) and found["AP EgoHands"] == pytest.approx(0.0)
    assert found["AP"] == found["AP50"] == pytest.approx(2.5 / 13)


def test_one_question_for_the_classes_of_a_set(tmp_path: Path) -> None:
    first, *_ = Odinw13().open(folder(tmp_path), "val")
    scene = ScriptedScene([WHOLE], {})
    Odinw13().ask(scene, first)
    assert scene.asked == [["AerialMaritimeDrone thing", "other"]]


def test_a_set_with_no_thing_has_no_say(tmp_path: Path) -> None:
    samples = Odinw13().open(folder(tmp_path), "val")[:2]
    metric = Odinw13().metric()
    metric.update(samples[0], None)
    empty = type(samples[1])(samples[1].id, samples[1].image, samples[1].truth.of([], [], ["x"]))
    metric.update(empty, None)
    assert metric.compute()["AP"] == 0 and np.isnan(metric.compute()["AP Aquarium"])


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    annotation_file(folder(tmp_path), "pothole", "val").unlink()
    with pytest.raises(
        BenchmarkError, match=r"pothole.*does not exist; expected the val annotations of pothole"
    ):
        Odinw13().open(tmp_path, "val")

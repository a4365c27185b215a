from __future__ import annotations

from pathlib import Path
from typing import Any

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
from fo1.evaluation.benchmarks.lvis import Lvis

CAT, BAT, CUP, HAT = 1, 2, 3, 4


def row(number: int, absent: list[int], partial: list[int], where: str) -> dict[str, Any]:
    """LVIS v1 names an image by its address only."""
    listed = image(number, neg_category_ids=absent, not_exhaustive_category_ids=partial)
    listed["coco_url"] = f"http://images.example/{where}/{listed.pop('file_name')}"
    return listed


def instances() -> dict[str, Any]:
    kinds = categories(["cat", "bat_(animal)", "cup", "hat"], 1203, frequency="f")
    kinds[BAT - 1]["frequency"] = "r"
    return {
        "images": [row(1, [BAT, CUP], [], "val2017"), row(2, [], [CAT], "train2017")],
        "annotations": [
            thing(10, 1, CAT, [0, 0, 40, 40]),
            thing(11, 2, CAT, [0, 0, 40, 40]),
            thing(12, 2, BAT, [100, 0, 40, 40]),
        ],
        "categories": kinds,
    }


def folder(path: Path, data: dict[str, Any] | None = None) -> Path:
    write_json(path / "lvis_v1_val.json", data or instances())
    draw(path / "val2017" / "000000000001.jpg", path / "train2017" / "000000000002.jpg")
    return path


def test_asks_for_what_an_image_decides_about(tmp_path: Path) -> None:
    first, second = Lvis().open(folder(tmp_path), "val")
    assert first.image == tmp_path / "val2017" / "000000000001.jpg"
    assert second.image == tmp_path / "train2017" / "000000000002.jpg"
    scene = ScriptedScene([[0, 0, 40, 40]], {})
    Lvis().ask(scene, first)
    assert scene.asked == [["bat (animal)", "cup", "cat"]]
    assert second.truth.partial == {"cat"}


def test_federated_ap_by_hand(tmp_path: Path) -> None:
    benchmark = Lvis()
    found = figures(
        benchmark,
        benchmark.open(folder(tmp_path), "val"),
        {
            # the cat found; a bat where the image says there is none
            "1": ([[0, 0, 40, 40], [60, 60, 90, 90]], {"cat": [0.6, 0], "bat (animal)": [0, 0.9]}),
            # both found; a second cat is forgiven, as not all cats of this image are marked
            "2": (
                [[0, 0, 40, 40], [100, 0, 140, 40], [60, 60, 90, 90]],
                {"cat": [0.7, 0, 0.8], "bat (animal)": [0, 0.5, 0]},
            ),
        },
    )
    assert found["AP frequent"] == pytest.approx(1.0)
    assert found["AP rare"] == pytest.approx(0.5)  # the false bat comes first
    assert found["AP"] == pytest.approx(0.75)


def test_another_version_is_refused(tmp_path: Path) -> None:
    data = instances()
    del data["images"][0]["neg_category_ids"]
    with pytest.raises(BenchmarkError, match=r"lvis_v1_val\.json: entry 0 of images has no neg_category_ids"):
        Lvis().open(folder(tmp_path, data), "val")
    data = instances()
    data["categories"] = categories(["cat", "bat", "cup"], 1230, frequency="f")
    with pytest.raises(BenchmarkError, match=r"has 1230 categories .* LVIS v1 with its 1203"):
        Lvis().open(folder(tmp_path, data), "val")
    data = instances()
    data["images"][0]["neg_category_ids"] = [4321]
    with pytest.raises(BenchmarkError, match="neg_category_ids of image 1 has 4321"):
        Lvis().open(folder(tmp_path, data), "val")

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
from fo1.evaluation.benchmarks.coco import Coco

CAT, DOG = 1, 2


def instances() -> dict[str, Any]:
    return {
        "info": {},
        "images": [image(1), image(2)],
        "annotations": [
            thing(10, 1, CAT, [0, 0, 40, 40]),
            thing(11, 1, CAT, [100, 0, 40, 40]),
            thing(12, 2, DOG, [0, 0, 50, 50]),
            thing(13, 2, CAT, [100, 0, 100, 100], iscrowd=1),
        ],
        "categories": categories(["cat", "hot_dog"], 80),
    }


def folder(path: Path, data: dict[str, Any] | None = None) -> Path:
    write_json(path / "annotations" / "instances_val2017.json", data or instances())
    draw(path / "val2017" / "000000000001.jpg", path / "val2017" / "000000000002.jpg")
    return path


def test_reads_the_official_layout(tmp_path: Path) -> None:
    first, second = Coco().open(folder(tmp_path), "val2017")
    assert (first.id, first.size, first.image) == ("1", (200, 100), tmp_path / "val2017" / "000000000001.jpg")
    assert first.truth.xyxy.tolist() == [[0, 0, 40, 40], [100, 0, 140, 40]]
    assert first.truth.labels == second.truth.labels and len(first.truth.labels) == 80
    assert second.truth.names == ("hot dog", "cat") and second.truth.crowd.tolist() == [False, True]


def test_every_class_is_asked_for_in_lists(tmp_path: Path) -> None:
    first, _ = Coco().open(folder(tmp_path), "val2017")
    scene = ScriptedScene([[0, 0, 40, 40]], {})
    Coco().ask(scene, first)
    assert [len(labels) for labels in scene.asked] == [20] * 4
    assert sum(scene.asked, []) == list(first.truth.labels)


def test_ap_by_hand(tmp_path: Path) -> None:
    samples = Coco().open(folder(tmp_path), "val2017")
    found = figures(
        Coco(),
        samples,
        {
            # one cat found exactly, a miss before it, the other cat not at all
            "1": ([[0, 0, 40, 40], [60, 60, 90, 90]], {"cat": [0.8, 0.9]}),
            # the dog found exactly; a box in the crowd of cats is forgiven; a false alarm of another class
            # costs nothing, as that class has no thing anywhere
            "2": (
                [[0, 0, 50, 50], [100, 0, 150, 50], [60, 60, 90, 90]],
                {"hot dog": [0.7, 0, 0], "cat": [0, 0.95, 0], "kind 5": [0, 0, 0.99]},
            ),
        },
    )
    # cat: precision 1/2 up to recall 1/2, which is 51 of the 101 recalls. hot dog: 1.
    assert found["AP"] == pytest.approx((51 / 101 / 2 + 1) / 2)
    assert found["AP50"] == pytest.approx(found["AP"])


def test_a_failed_image_has_found_nothing(tmp_path: Path) -> None:
    samples = Coco().open(folder(tmp_path), "val2017")
    found = figures(Coco(), samples, {"1": None, "2": ([[0, 0, 50, 50]], {"hot dog": [0.7]})})
    assert found["AP"] == pytest.approx(0.5)


def spoiled(change: str) -> dict[str, Any]:
    data = instances()
    match change:
        case "classes":
            data["categories"] = data["categories"][:20]
        case "image":
            data["annotations"][0]["image_id"] = 77
        case "category":
            data["annotations"][0]["category_id"] = 177
        case "box":
            data["annotations"][0]["bbox"] = [1, 2, 3]
        case "key":
            del data["images"][1]["file_name"]
        case "twice":
            data["images"][1]["id"] = 1
        case "part":
            del data["annotations"]
    return data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("classes", "has 20 categories of 20 names; expected COCO's instances file with its 80"),
        ("image", "annotation 10 has image_id 77, which the file does not list"),
        ("category", "annotation 10 has category_id 177, which the file does not list"),
        ("box", r"the bbox of annotation 10 is \[1, 2, 3\]; expected \[x, y, width, height\]"),
        ("key", "entry 1 of images has no file_name"),
        ("twice", "several of its images share an id"),
        ("part", "lacks images, annotations or categories; expected COCO's instances file"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(BenchmarkError, match=r"instances_val2017\.json.*" + said):
        Coco().open(folder(tmp_path, spoiled(change)), "val2017")


def test_a_wrong_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"instances_val2017\.json does not exist; expected COCO's"):
        Coco().open(tmp_path, "val2017")


def test_images_of_another_set_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "annotations" / "instances_val2017.json", instances())
    draw(tmp_path / "val2017" / "other.jpg")
    with pytest.raises(BenchmarkError, match=r"instances_val2017\.json: none of its 2 images"):
        Coco().open(tmp_path, "val2017")

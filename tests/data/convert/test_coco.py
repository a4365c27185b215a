from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.coco import read_coco
from fo1.data.convert.problems import Problems
from fo1.data.record import RecordError


def coco(**changes: Any) -> dict[str, Any]:
    """Two images: a cat, two dogs and a crowd of dogs; nothing."""
    return {
        "info": {"year": 2017},
        "licenses": [],
        "images": [
            {"id": 7, "file_name": "000000000007.jpg", "width": 100, "height": 80},
            {"id": 9, "file_name": "000000000009.jpg", "width": 100, "height": 80},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 20, 30, 40], "iscrowd": 0, "area": 1200},
            {"id": 2, "image_id": 7, "category_id": 17, "bbox": [50.5, 0, 20, 10.25], "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 18, "bbox": [0, 0, 100, 80], "iscrowd": 1},
            {"id": 4, "image_id": 7, "category_id": 18, "bbox": [90, 70, 30, 30], "iscrowd": 0},
        ],
        "categories": [
            {"id": 17, "name": "cat", "supercategory": "animal"},
            {"id": 18, "name": "dog", "supercategory": "animal"},
            {"id": 44, "name": "wine glass", "supercategory": "kitchen"},
        ],
        **changes,
    }


@pytest.fixture
def files(photo: Any) -> Path:
    return photo("train2017/000000000007.jpg", "train2017/000000000009.jpg")


def read(write: Any, files: Path, data: Any, problems: Problems | None = None) -> list[Annotated]:
    return list(read_coco(write("instances.json", data), files / "train2017", problems))


def test_boxes_labels_and_crowds(write: Any, files: Path, problems: Problems) -> None:
    first, second = read(write, files, coco(), problems)
    assert first.boxes.tolist() == [[10, 20, 40, 60], [50.5, 0, 70.5, 10.25], [90, 70, 100, 80]]
    assert first.labels == ("dog", "cat", "dog")
    assert first.ignored == (("dog", (0, 0, 100, 80)),)
    assert not first.is_complete("dog") and first.is_complete("cat")
    assert first.absent == ("wine glass",) and second.absent == ("cat", "dog", "wine glass")
    assert (first.id, first.image.path, first.image.size) == ("7", "000000000007.jpg", (100, 80))
    assert len(second.boxes) == 0 and problems.total == 0


def test_lvis_is_federated(write: Any, photo: Any, problems: Problems) -> None:
    photo("val2017/000000000007.jpg", "val2017/000000000009.jpg")
    url = "http://images.example.org/val2017/000000000007.jpg"
    data = coco(
        images=[
            {
                **{"id": 7, "coco_url": url, "width": 100, "height": 80},
                **{"neg_category_ids": [3], "not_exhaustive_category_ids": [2]},
            }
        ],
        annotations=[
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40]},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5]},
        ],
        categories=[
            {"id": 1, "name": "alarm_clock", "synonyms": ["alarm_clock"], "frequency": "f"},
            {"id": 2, "name": "bow_(decorative_ribbons)"},
            {"id": 3, "name": "aerosol_can"},
            {"id": 4, "name": "armor"},
        ],
    )
    root = write("lvis.json", data).parent
    (image,) = read_coco(root / "lvis.json", root, problems)
    assert image.labels == ("alarm clock", "bow (decorative ribbons)")
    assert image.absent == ("aerosol can",) and image.federated  # of armor nothing is known
    assert image.is_complete("alarm clock") and not image.is_complete("bow (decorative ribbons)")
    assert image.image.path == "val2017/000000000007.jpg"


def test_objects365_paths_and_names(write: Any, photo: Any) -> None:
    photo("train/patch0/objects365_v1_00000001.jpg")
    data = coco(
        images=[
            {"id": 1, "file_name": "images/v1/patch0/objects365_v1_00000001.jpg", "width": 100, "height": 80}
        ],
        annotations=[
            {"id": 5, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 0, "isfake": 0}
        ],
        categories=[{"id": 1, "name": "Person"}, {"id": 2, "name": "Wine Glass"}],
    )
    path = write("zhiyuan_objv2_train.json", data)
    (image,) = read_coco(path, path.parent / "train")
    assert image.image.path == "patch0/objects365_v1_00000001.jpg"
    assert image.labels == ("wine glass",) and image.absent == ("person",)
    assert image.boxes.tolist() == [[1, 2, 4, 6]]


def test_what_cannot_be_used_is_counted_with_its_place(write: Any, files: Path, problems: Problems) -> None:
    data = coco()
    data["images"].append({"id": 11, "file_name": "gone.jpg", "width": 9, "height": 9})
    data["categories"].append({"id": 90})
    data["annotations"] += [
        {"id": 20, "image_id": 9, "category_id": 17, "bbox": [5, 5, 0, 10]},
        {"id": 21, "image_id": 9, "category_id": 999, "bbox": [5, 5, 1, 1]},
        {"id": 22, "image_id": 9, "category_id": 90, "bbox": [5, 5, 1, 1]},
        {"id": 23, "image_id": 9, "category_id": 18, "bbox": [500, 5, 9, 9]},
        {"id": 24, "image_id": 9, "category_id": 44, "bbox": None},
        {"id": 25, "image_id": 404, "category_id": 44, "bbox": [0, 0, 1, 1]},
    ]
    first, second = read(write, files, data, problems)
    assert problems.places == {
        "category without name": ["instances.json, category 90"],
        "annotations of an image that is not listed": ["instances.json, image 404"],
        "box of zero area": ["instances.json, annotation 20"],
        "unknown category id": [
            "instances.json, annotation 21, category 999",
            "instances.json, annotation 22, category 90",
        ],
        "box outside the image": ["instances.json, annotation 23"],
        "box is not four finite numbers": ["instances.json, annotation 24"],
        "missing image": ["instances.json, image 11: gone.jpg"],
    }
    # The things are there, if not where: neither absent nor complete.
    assert len(second.boxes) == 0 and second.absent == ()
    assert second.partial == {"cat", "dog", "wine glass"}
    with pytest.raises(RecordError, match="category 90: category without name"):
        read(write, files, data, Problems(strict=True))


def test_sizes_come_from_the_image_if_not_listed(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("a.png", size=(30, 20))
    (root / "b.png").write_bytes(b"no image")
    data = coco(images=[{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}])
    data["annotations"] = [{"id": 1, "image_id": 7, "category_id": 17, "bbox": [10, 5, 30, 40]}]
    (image,) = read_coco(write("i.json", data), None, problems)
    assert image.image.size == (30, 20) and image.boxes.tolist() == [[10, 5, 30, 20]]
    assert problems.places == {"not an image that can be read": [str(root / "b.png")]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', "line 1: is damaged or cut off"),
        ("[]", "expected an instances JSON"),
        ('{"images": [], "annotations": []}', 'expected an instances JSON with "images"'),
    ],
)
def test_other_files(write: Any, text: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        list(read_coco(write("instances.json", text)))


def test_wrong_folders(write: Any, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.json: cannot be read .*; expected an instances JSON"):
        list(read_coco(tmp_path / "none.json"))
    with pytest.raises(RecordError, match="nowhere: no such folder; expected the folder of the images"):
        list(read_coco(write("instances.json", coco()), tmp_path / "nowhere"))

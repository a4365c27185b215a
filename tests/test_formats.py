"""What the formats write, to the letter, and how they refuse what they cannot read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from fo1 import formats
from fo1.detection import Detection
from fo1.errors import Fo1Error

SIZE = (200, 100)
CAT = Detection("cat", (20, 10, 60, 50), 0.75, 2)
DOG = Detection("dog", (-20, 50, 100, 130), 0.5)


def test_coco() -> None:
    data = formats.to_coco(
        [CAT, DOG], SIZE, image_id=9, file_name="a.jpg", class_names=["bird", "dog", "cat"]
    )
    assert data["images"] == [{"id": 9, "file_name": "a.jpg", "width": 200, "height": 100}]
    assert [(c["id"], c["name"]) for c in data["categories"]] == [(1, "bird"), (2, "dog"), (3, "cat")]
    first = data["annotations"][0]
    assert first["bbox"] == [20, 10, 40, 40] and first["area"] == 1600 and first["iscrowd"] == 0
    assert (first["id"], first["image_id"], first["category_id"]) == (1, 9, 3)
    assert formats.from_coco(data) == ([CAT, DOG], SIZE)


def test_coco_of_several_images() -> None:
    data: dict[str, Any] = {
        "images": [{"id": 1, "width": 10, "height": 20}, {"id": 2, "width": 30, "height": 40}],
        "categories": [{"id": 18, "name": "dog"}],
        "annotations": [{"id": i, "image_id": i, "category_id": 18, "bbox": [i, i, 2, 3]} for i in (1, 2)],
    }
    assert formats.from_coco(data, 2) == ([Detection("dog", (2, 2, 4, 5))], (30, 40))
    with pytest.raises(Fo1Error, match="2 images"):
        formats.from_coco(data)
    with pytest.raises(Fo1Error, match="no image 3"):
        formats.from_coco(data, 3)


def test_yolo() -> None:
    assert formats.to_yolo([CAT], SIZE, ["dog", "cat"]) == "1 0.200000 0.300000 0.200000 0.400000\n"
    assert formats.to_yolo([CAT], SIZE, ["cat"], scores=True).endswith(" 0.7500\n")
    assert formats.to_yolo([], SIZE, []) == ""
    [back] = formats.from_yolo("1 0.2 0.3 0.2 0.4\n\n", ["dog", "cat"], SIZE)
    assert back.box == pytest.approx((20, 10, 60, 50)) and (back.label, back.score) == ("cat", 1.0)


def test_yolo_clamps_to_the_image() -> None:
    [back] = formats.from_yolo(formats.to_yolo([DOG], SIZE, ["dog"]), ["dog"], SIZE)
    assert back.box == pytest.approx((0, 50, 100, 100), abs=1e-3)


def test_labelme() -> None:
    data = formats.to_labelme([CAT], SIZE, "a.jpg")
    assert (data["imagePath"], data["imageWidth"], data["imageHeight"], data["imageData"]) == (
        "a.jpg",
        200,
        100,
        None,
    )
    assert data["shapes"][0]["points"] == [[20, 10], [60, 50]]
    assert data["shapes"][0]["shape_type"] == "rectangle"


def test_labelme_corners_in_any_order_and_polygons() -> None:
    shapes = [
        {"label": "cat", "points": [[60, 10], [20, 50]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[20, 30], [40, 10], [60, 50]], "shape_type": "polygon"},
    ]
    found, size = formats.from_labelme({"shapes": shapes, "imageWidth": 200, "imageHeight": 100})
    assert [d.box for d in found] == [CAT.box, CAT.box] and size == SIZE
    with pytest.raises(Fo1Error, match="circle"):
        circle = {"label": "x", "points": [[1, 1], [2, 2]], "shape_type": "circle"}
        formats.from_labelme({"shapes": [circle], "imageWidth": 2, "imageHeight": 1})


@pytest.mark.parametrize(
    "label", ["橙子", "a\nb", 'quote"s', "<region1>", "<|im_end|>", "", "line\u2028separator", "\x85"]
)
def test_any_label_survives(label: str) -> None:
    one = [Detection(label, (1, 2, 3, 4), 0.5, 1)]
    assert formats.from_jsonl(formats.to_jsonl(one)) == one
    assert formats.from_coco(json.loads(json.dumps(formats.to_coco(one, SIZE))))[0] == one
    assert formats.from_labelme(json.loads(json.dumps(formats.to_labelme(one, SIZE, ""))))[0] == one


def test_unknown_class_name() -> None:
    for write in (
        lambda: formats.to_yolo([CAT], SIZE, ["dog"]),
        lambda: formats.to_coco([CAT], SIZE, class_names=["dog"]),
    ):
        with pytest.raises(Fo1Error, match="'cat' is not among the 1 class names"):
            write()


@pytest.mark.parametrize(
    "read",
    [
        lambda: formats.from_jsonl("{not json}"),
        lambda: formats.from_jsonl('["a"]'),
        lambda: formats.from_dicts([{"label": "a"}]),
        lambda: formats.from_dicts([{"label": "a", "box": [1, 2, 3]}]),
        lambda: formats.from_dicts([{"label": "a", "box": None}]),
        lambda: formats.from_coco({}),
        lambda: formats.from_coco({"images": [{"id": 1}], "categories": [], "annotations": []}),
        lambda: formats.from_labelme({"shapes": [{}]}),
        lambda: formats.from_labelme(
            {"shapes": [{"label": "a", "points": []}], "imageWidth": 1, "imageHeight": 1}
        ),
        lambda: formats.from_yolo("0 0.1 0.2 0.3", ["cat"], SIZE),
        lambda: formats.from_yolo("0 0.1 0.2 0.3 0.4 0.5 0.6", ["cat"], SIZE),
        lambda: formats.from_yolo("cat 0.1 0.2 0.3 0.4", ["cat"], SIZE),
        lambda: formats.from_yolo("1 0.1 0.2 0.3 0.4", ["cat"], SIZE),
        lambda: formats.from_yolo("-1 0.1 0.2 0.3 0.4", ["cat"], SIZE),
    ],
)
def test_malformed_documents(read: Callable[[], object]) -> None:
    with pytest.raises(Fo1Error):
        read()


@pytest.mark.parametrize(
    ("low", "high", "pixels"),
    [
        (7.6, 8, ("8", "8")),
        (0, 8, ("1", "8")),
        (-2, 0.3, ("1", "1")),
        (2.2, 2.3, ("3", "3")),
        (3, 9.7, ("4", "8")),
    ],
)
def test_voc_has_whole_pixels_of_the_image(low: float, high: float, pixels: tuple[str, str]) -> None:
    text = formats.to_voc([Detection("cat", (low, low, high, high), 0.9, 1)], (8, 8), "a.png")
    box = ET.fromstring(text).find("object/bndbox")
    assert box is not None
    assert (
        (box.findtext("xmin"), box.findtext("xmax")) == pixels == (box.findtext("ymin"), box.findtext("ymax"))
    )

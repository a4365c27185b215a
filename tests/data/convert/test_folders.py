"""YOLO, Pascal VOC and LabelMe: one annotation file for each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fo1.data.convert.labelme import read_labelme
from fo1.data.convert.problems import Problems
from fo1.data.convert.voc import read_voc
from fo1.data.convert.yolo import read_yolo
from fo1.data.record import RecordError


def test_yolo_with_data_yaml(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg")
    write("data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: bolt\n  1: hex_nut\n")
    write("labels/train/a.txt", "1 0.5 0.5 0.2 0.5\n\n0 0.1 0.1 0.3 0.1 0.2 0.4\n")
    write("labels/val/c.txt", "0 0.25 0.5 0.5 1\n")
    a, b = read_yolo(root, problems=problems)
    assert a.boxes.round(4).tolist() == [[40, 20, 60, 60], [10, 8, 30, 32]]
    assert a.labels == ("hex nut", "bolt")
    assert b.labels == () and b.absent == ("bolt", "hex nut")
    (c,) = read_yolo(root / "data.yaml", split="val")
    assert c.boxes.tolist() == [[0, 0, 50, 80]] and c.absent == ("hex nut",)
    assert problems.total == 0


def test_yolo_as_roboflow_writes_it(write: Any, photo: Any) -> None:
    root = photo("train/images/a.jpg")
    write("data.yaml", "train: ../train/images\nnc: 1\nnames: ['bolt']\n")
    write("train/labels/a.txt", "0 0.5 0.5 1 1 0.9\n")
    (a,) = read_yolo(root)
    assert a.boxes.tolist() == [[0, 0, 100, 80]]


def test_yolo_with_classes_txt_and_turned_photos(write: Any, photo: Any, tmp_path: Path) -> None:
    write("classes.txt", "bolt\n")
    write("labels/a.txt", "0 0.5 0.25 1 0.5\n")
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 80)).save(tmp_path / "images/a.jpg", exif=exif)
    (a,) = read_yolo(tmp_path)
    assert a.image.size == (80, 100) and a.boxes.tolist() == [[0, 0, 80, 50]]


def test_yolo_problems(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("images/a.jpg")
    write("images/b.jpg", "")
    write("classes.txt", "bolt\nnut\n")
    write("labels/a.txt", "0 0.5 0.5 0 0.1\n5 0.5 0.5 1 1\nbolt 0.5 0.5 1 1\n1 50 40 20 20\n0 0.5\n")
    (a,) = read_yolo(root, problems=problems)
    assert len(a.boxes) == 0 and a.absent == () and a.partial == {"bolt", "nut"}
    line = f"{root / 'labels/a.txt'}, line "
    assert problems.places == {
        "box of zero area": [f"{line}1"],
        "unknown category id": [f"{line}2, class 5"],
        "line is not `class cx cy w h`": [f"{line}3"],
        "box is not in shares of the image (0 to 1)": [f"{line}4"],
        "box is not four finite numbers": [f"{line}5"],
        "not an image that can be read": [str(root / "images/b.jpg")],
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "has no class names; expected a YOLO folder"),
        ({"classes.txt": "a"}, "has no images; expected a YOLO folder"),
        ({"classes.txt": "a", "images/x.txt": ""}, "labels: no such folder; expected a YOLO folder"),
        ({"data.yaml": "names: [a]\ntrain: gone"}, "says train: gone, but there is no such folder"),
        ({"data.yaml": "names: [a"}, "is not YAML"),
    ],
)
def test_other_folders_than_yolo(write: Any, tmp_path: Path, names: dict[str, str], message: str) -> None:
    for name, text in names.items():
        write(name, text)
    with pytest.raises(RecordError, match=message):
        list(read_yolo(tmp_path))


VOC = """<annotation>
  <folder>VOC2012</folder><filename>a.jpg</filename>
  <source><database>The VOC2008 Database</database></source>
  <size><width>100</width><height>80</height><depth>3</depth></size>
  <object><name>person</name><difficult>0</difficult>
    <bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>12</xmin><ymin>22</ymin><xmax>20</xmax><ymax>30</ymax></bndbox></part>
  </object>
  <object><name>chair</name><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
OTHER = """<annotation><filename>b.jpg</filename><source><database>Unknown</database></source>
  <object><name>dining_table</name>
    <bndbox><xmin>0</xmin><ymin>0.5</ymin><xmax>50</xmax><ymax>80</ymax></bndbox></object></annotation>"""


def test_voc(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("JPEGImages/a.jpg", "JPEGImages/b.jpg")
    write("Annotations/a.xml", VOC)
    write("Annotations/b.xml", OTHER)
    write("ImageSets/Main/val.txt", "b -1\n")
    a, b = read_voc(root, problems=problems)
    # Pixels of the challenge count from 1; its parts are no objects.
    assert a.boxes.tolist() == [[10, 20, 40, 60]] and a.labels == ("person",)
    assert a.ignored == (("chair", (0, 0, 9, 9)),) and a.absent == ("dining table",)
    assert b.boxes.tolist() == [[0, 0.5, 50, 80]] and b.absent == ("person", "chair")
    assert [image.id for image in read_voc(root, split="val")] == ["b"]
    assert problems.total == 0


def test_voc_problems(write: Any, photo: Any, problems: Problems, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="has no XML files; expected Annotations"):
        list(read_voc(tmp_path))
    root = photo("c.jpg")
    write("a.xml", VOC)
    write("b.xml", VOC[:200])
    write("c.xml", OTHER.replace("b.jpg", "").replace("<name>dining_table</name>", ""))
    (c,) = read_voc(root, problems=problems)
    assert c.id == "c" and len(c.boxes) == 0
    assert set(problems.places) == {"missing image", "damaged XML", "category without name"}
    assert problems.places["missing image"] == [f"{root / 'a.xml'}: a.jpg"]


def labelme(path: str, *shapes: dict[str, Any]) -> dict[str, Any]:
    return {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": path, "imageData": None}


def test_labelme(write: Any, photo: Any, problems: Problems) -> None:
    root = photo("photos/a.jpg", "labels/b.jpg")
    corners = [[60, 50], [20, 10]]
    write(
        "labels/a.json",
        labelme(
            "..\\photos\\a.jpg",
            {"label": "cup", "points": corners, "shape_type": "rectangle", "description": "a blue cup"},
            {"label": "saucer", "points": [[0, 5], [9, 7], [3, 30]], "shape_type": "polygon"},
            {"label": "cup", "points": [[50, 40], [50, 50]], "shape_type": "circle"},
        ),
    )
    write("labels/b.json", labelme("b.jpg", {"label": "spoon", "points": [[1, 1]], "shape_type": "point"}))
    write("labels/other.json", {"a": 1})
    write("labels/cut.json", '{"shapes": [')
    a, b = read_labelme(root / "labels", problems=problems)
    assert a.boxes.tolist() == [[20, 10, 60, 50], [0, 5, 9, 30], [40, 30, 60, 50]]
    assert a.labels == ("cup", "saucer", "cup") and a.absent == ("spoon",)
    assert a.captions == ("a blue cup", None, None)
    assert a.image.file.resolve() == (root / "photos/a.jpg").resolve()
    assert b.partial == {"spoon"} and b.absent == ("cup", "saucer")
    assert set(problems.places) == {"a point has no box", "not a LabelMe file", "damaged JSON"}


def test_labelme_elsewhere(write: Any, photo: Any, problems: Problems, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="has no LabelMe JSON files"):
        list(read_labelme(tmp_path))
    root = photo("images/a.jpg")
    write("in/a.json", labelme("somewhere/a.jpg", {"label": "", "points": []}))
    (a,) = read_labelme(root / "in", root / "images", problems)
    assert a.image.path == "a.jpg" and list(problems.places) == ["category without name"]

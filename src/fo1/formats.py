"""Detections to and from plain records, JSON lines, COCO, YOLO, LabelMe and VOC: pure functions, no files.

Boxes are x1 y1 x2 y2 in pixels of the original image; sizes are (width, height) in pixels.
Written boxes are rounded to 0.01 pixel and scores to 0.0001. Documents that do not have the shape
they should raise `Fo1Error`.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fo1.detection import Detection
from fo1.errors import Fo1Error

Size = tuple[int, int]


def to_dicts(found: Iterable[Detection]) -> list[dict[str, Any]]:
    """Records `{"label", "box", "score", "region"}`, ready for JSON."""
    return [
        {
            "label": d.label,
            "box": [round(v, 2) for v in d.box],
            "score": round(d.score, 4),
            "region": d.region,
        }
        for d in found
    ]


def from_dicts(rows: Iterable[Mapping[str, Any]]) -> list[Detection]:
    """Records back; "score" and "region" may be missing."""
    with _expecting('records {"label": str, "box": [x1, y1, x2, y2]}'):
        return [_detection(r["label"], r["box"], r.get("score"), r.get("region")) for r in rows]


def to_jsonl(found: Iterable[Detection]) -> str:
    """One record a line; the empty text for none."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in to_dicts(found))


def from_jsonl(text: str) -> list[Detection]:
    """Lines back; blank lines are skipped."""
    with _expecting("one JSON record a line"):
        # Not splitlines(): a label may hold other line separators, which JSON leaves as they are.
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    return from_dicts(rows)


def to_coco(
    found: Sequence[Detection],
    size: Size,
    image_id: int = 1,
    file_name: str = "",
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A COCO data set of one image; "score" and "region" travel as additional keys.

    Category numbers count from 1 in the order of `class_names`, or else of first appearance.
    """
    names = list(dict.fromkeys(d.label for d in found)) if class_names is None else list(class_names)
    annotations: list[dict[str, Any]] = []
    for number, d in enumerate(found, start=1):
        x1, y1, x2, y2 = d.box
        width, height = x2 - x1, y2 - y1
        annotations.append(
            {
                "id": number,
                "image_id": image_id,
                "category_id": _class_number(d.label, names) + 1,
                "bbox": [round(v, 2) for v in (x1, y1, width, height)],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "score": round(d.score, 4),
                "region": d.region,
            }
        )
    return {
        "images": [{"id": image_id, "file_name": file_name, "width": size[0], "height": size[1]}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
        "annotations": annotations,
    }


def from_coco(data: Mapping[str, Any], image_id: int | None = None) -> tuple[list[Detection], Size]:
    """The annotations of one image and its size."""
    with _expecting('a COCO data set with "images", "categories" and "annotations"'):
        images = {image["id"]: image for image in data["images"]}
        names = {category["id"]: str(category["name"]) for category in data["categories"]}
        if image_id is None:
            if len(images) != 1:
                raise Fo1Error(f"the COCO data set has {len(images)} images; say which by image_id")
            image_id = next(iter(images))
        if image_id not in images:
            raise Fo1Error(f"the COCO data set has no image {image_id}")
        found = []
        for a in data["annotations"]:
            if a["image_id"] == image_id:
                x, y, width, height = a["bbox"]
                box = (x, y, x + width, y + height)
                found.append(_detection(names[a["category_id"]], box, a.get("score"), a.get("region")))
        return found, (int(images[image_id]["width"]), int(images[image_id]["height"]))


def to_yolo(found: Iterable[Detection], size: Size, class_names: Sequence[str], scores: bool = False) -> str:
    """Lines `class cx cy w h [score]`: shares of the image, clamped to it, classes counted from 0."""
    width, height = size
    lines = []
    for d in found:
        x1, x2 = (min(max(x / width, 0.0), 1.0) for x in (d.box[0], d.box[2]))
        y1, y2 = (min(max(y / height, 0.0), 1.0) for y in (d.box[1], d.box[3]))
        line = f"{_class_number(d.label, class_names)}"
        line += "".join(f" {v:.6f}" for v in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
        lines.append(line + (f" {d.score:.4f}\n" if scores else "\n"))
    return "".join(lines)


def from_yolo(text: str, class_names: Sequence[str], size: Size) -> list[Detection]:
    """Lines back to pixels of an image of this size."""
    width, height = size
    found = []
    with _expecting('YOLO lines "class cx cy w h [score]"'):
        for line in filter(str.strip, text.splitlines()):
            first, *rest = line.split()
            number = int(first)
            if not 0 <= number < len(class_names):
                raise Fo1Error(f"YOLO class {number}, but there are {len(class_names)} class names")
            cx, cy, w, h, *score = (float(v) for v in rest)
            if len(score) > 1:
                raise ValueError(f"{len(rest) + 1} numbers in {line!r}")
            box = ((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
            found.append(_detection(class_names[number], box, score[0] if score else None, None))
    return found


def to_labelme(found: Iterable[Detection], size: Size, image_path: str) -> dict[str, Any]:
    """A LabelMe document; "score" and "region" travel as additional keys of a shape."""
    shapes: list[dict[str, Any]] = []
    for d in found:
        x1, y1, x2, y2 = (round(v, 2) for v in d.box)
        shapes.append(
            {
                "label": d.label,
                "points": [[x1, y1], [x2, y2]],
                "group_id": None,
                "shape_type": "rectangle",
                "flags": {},
                "score": round(d.score, 4),
                "region": d.region,
            }
        )
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }


def from_labelme(data: Mapping[str, Any]) -> tuple[list[Detection], Size]:
    """The bounding boxes of the rectangles and polygons, and the image's size."""
    found = []
    with _expecting('a LabelMe document with "shapes", "imageWidth" and "imageHeight"'):
        for shape in data["shapes"]:
            kind = shape.get("shape_type", "polygon")
            if kind not in ("rectangle", "polygon"):
                raise Fo1Error(
                    f"LabelMe shape {shape['label']!r} is a {kind}; only rectangles and polygons have a box"
                )
            xs, ys = zip(*shape["points"], strict=True)
            box = (min(xs), min(ys), max(xs), max(ys))
            found.append(_detection(shape["label"], box, shape.get("score"), shape.get("region")))
        return found, (int(data["imageWidth"]), int(data["imageHeight"]))


def to_voc(found: Iterable[Detection], size: Size, file_name: str) -> str:
    """A Pascal VOC document. Whole pixels counted from 1, the last one included, as the challenges count."""
    root = ET.Element("annotation")
    _entry(root, "folder", "VOC")  # says how pixels are counted
    _entry(root, "filename", file_name)
    extent = ET.SubElement(root, "size")
    for key, value in zip(("width", "height", "depth"), (*size, 3), strict=True):
        _entry(extent, key, value)
    _entry(root, "segmented", 0)
    for d in found:
        thing = ET.SubElement(root, "object")
        _entry(thing, "name", d.label)
        for key, text in (("pose", "Unspecified"), ("truncated", 0), ("difficult", 0)):
            _entry(thing, key, text)
        box = ET.SubElement(thing, "bndbox")
        (x1, x2), (y1, y2) = _pixels(d.box[0], d.box[2], size[0]), _pixels(d.box[1], d.box[3], size[1])
        for key, value in (("xmin", x1), ("ymin", y1), ("xmax", x2), ("ymax", y2)):
            _entry(box, key, value)
        _entry(thing, "score", round(d.score, 4))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _pixels(low: float, high: float, side: int) -> tuple[int, int]:
    """First and last pixel of a stretch, counted from 1: at least one, none beyond the side."""
    first = min(max(round(low), 0), side - 1) + 1
    return first, min(max(round(high), first), side)


def _entry(parent: ET.Element, key: str, value: Any) -> None:
    ET.SubElement(parent, key).text = str(value)


def _detection(label: Any, box: Sequence[Any], score: Any, region: Any) -> Detection:
    x1, y1, x2, y2 = (float(v) for v in box)
    return Detection(
        str(label),
        (x1, y1, x2, y2),
        1.0 if score is None else float(score),
        -1 if region is None else int(region),
    )


def _class_number(label: str, names: Sequence[str]) -> int:
    try:
        return list(names).index(label)
    except ValueError as error:
        raise Fo1Error(f"label {label!r} is not among the {len(names)} class names; add it") from error


@contextmanager
def _expecting(what: str) -> Iterator[None]:
    """Say what a document should have been when reading it fails."""
    try:
        yield
    except Fo1Error:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Fo1Error(f"expected {what}: {type(error).__name__}: {error}") from error

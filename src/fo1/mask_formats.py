"""Detections with masks for COCO, YOLO-seg and LabelMe: what `formats` writes, with outlines.

Masks belong to detections in their order. Corners are x y in pixels of the original image, rounded to 0.01;
one without pixels gets its box for an outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fo1 import formats
from fo1.detection import Detection
from fo1.masks import Mask, Ring, with_cuts

Size = tuple[int, int]


def to_dicts(found: Sequence[Detection], masks: Sequence[Mask]) -> list[dict[str, Any]]:
    """As `formats.to_dicts`, with `mask`: COCO's uncompressed run lengths."""
    rows = zip(formats.to_dicts(found), masks, strict=True)
    return [{**row, "mask": mask.to_rle()} for row, mask in rows]


def to_coco(
    found: Sequence[Detection],
    masks: Sequence[Mask],
    size: Size,
    image_id: int = 1,
    file_name: str = "",
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """As `formats.to_coco`, with `segmentation` as polygons, whose pixels `area` counts if there are any."""
    data = formats.to_coco(found, size, image_id, file_name, class_names)
    for annotation, one, mask in zip(data["annotations"], found, masks, strict=True):
        annotation["segmentation"] = [_rounded(ring).ravel().tolist() for ring in outline(one, mask)]
        annotation["area"] = mask.area or annotation["area"]
    return data


def to_yolo(found: Sequence[Detection], masks: Sequence[Mask], size: Size, class_names: Sequence[str]) -> str:
    """Lines `class x y x y …`, as shares of the image; a thing's parts are joined by cuts there and back."""
    boxes = formats.to_yolo(found, size, class_names).splitlines()
    lines = []
    for line, one, mask in zip(boxes, found, masks, strict=True):
        corners = np.clip(with_cuts(outline(one, mask)) / size, 0, 1).ravel()
        lines.append(" ".join([line.split()[0], *(f"{v:.6f}" for v in corners)]) + "\n")
    return "".join(lines)


def to_labelme(
    found: Sequence[Detection], masks: Sequence[Mask], size: Size, image_path: str
) -> dict[str, Any]:
    """As `formats.to_labelme`, with polygons; those of one thing share a `group_id`."""
    data = formats.to_labelme(found, size, image_path)
    shapes = []
    for number, (shape, one, mask) in enumerate(zip(data["shapes"], found, masks, strict=True)):
        for ring in outline(one, mask):
            points = _rounded(ring).tolist()
            shapes.append({**shape, "shape_type": "polygon", "points": points, "group_id": number})
    return {**data, "shapes": shapes}


def outline(found: Detection, mask: Mask) -> list[Ring]:
    """The mask's polygons, or else the box."""
    x1, y1, x2, y2 = found.box
    return mask.polygons() or [np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])]


def _rounded(ring: Ring) -> Ring:
    return np.round(ring, 2)

from __future__ import annotations

import numpy as np
import pytest

from fo1 import mask_formats
from fo1.detection import Detection
from fo1.detections import Detections
from fo1.drawing import colours_of, tinted
from fo1.masks import Mask
from fo1.outlined import Outlined
from tiny import picture

SIZE = (20, 10)
TWO_PARTS = np.zeros((10, 20), dtype=bool)
TWO_PARTS[2:6, 3:7] = TWO_PARTS[7:9, 12:18] = True
FOUND = [Detection("cat", (3, 2, 18, 9), 0.9, 4), Detection("dog", (1, 1, 5, 4), 0.5, 2)]
MASKS = [Mask.of(TWO_PARTS), Mask.of(np.zeros((10, 20)))]


def test_records_hold_the_exact_mask() -> None:
    first, second = mask_formats.to_dicts(FOUND, MASKS)
    assert first["label"] == "cat" and Mask(SIZE, tuple(first["mask"]["counts"])) == MASKS[0]
    assert second["mask"] == {"size": [10, 20], "counts": [200]}


def test_coco_has_a_polygon_for_each_part_and_a_box_where_there_are_no_pixels() -> None:
    data = mask_formats.to_coco(FOUND, MASKS, SIZE, 7, "a.jpg", ["dog", "cat"])
    cat, dog = data["annotations"]
    assert (cat["image_id"], cat["category_id"], cat["area"], cat["bbox"]) == (7, 2, 28, [3, 2, 15, 7])
    assert sorted(map(sorted, cat["segmentation"])) == sorted(
        [sorted([3, 2, 7, 2, 7, 6, 3, 6]), sorted([12, 7, 18, 7, 18, 9, 12, 9])]
    )
    assert dog["segmentation"] == [[1, 1, 5, 1, 5, 4, 1, 4]] and dog["area"] == 12
    coco = pytest.importorskip("faster_coco_eval.core.mask")
    read = coco.decode(coco.merge(coco.frPyObjects(cat["segmentation"], 10, 20)))
    assert np.array_equal(read, TWO_PARTS)


def test_yolo_has_one_line_of_shares_a_thing() -> None:
    first, second = mask_formats.to_yolo(FOUND, MASKS, SIZE, ["dog", "cat"]).splitlines()
    number, *values = first.split()
    corners = np.array(values, dtype=float).reshape(-1, 2) * SIZE
    assert number == "1" and len(corners) == 4 + 1 + 4 + 1 + 1  # a cut there and back
    x, y = corners.T
    assert abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2 == pytest.approx(28)
    assert second.split() == ["0", *(f"{v:.6f}" for v in (0.05, 0.1, 0.25, 0.1, 0.25, 0.4, 0.05, 0.4))]


def test_labelme_groups_the_parts() -> None:
    shapes = mask_formats.to_labelme(FOUND, MASKS, SIZE, "a.jpg")["shapes"]
    assert [(s["label"], s["shape_type"], s["group_id"]) for s in shapes] == [
        ("cat", "polygon", 0),
        ("cat", "polygon", 0),
        ("dog", "polygon", 1),
    ]


def test_masks_are_drawn_in_the_colour_of_their_name() -> None:
    image = picture(0, SIZE)
    found = Detections.of(FOUND, SIZE)
    before, after = np.asarray(image).astype(float), np.asarray(tinted(image, found, MASKS)).astype(float)
    assert np.array_equal(before[~TWO_PARTS], after[~TWO_PARTS])
    colour = np.array(colours_of(found.labels)["cat"])
    nearer = np.abs(after - colour)[TWO_PARTS].sum() < np.abs(before - colour)[TWO_PARTS].sum()
    assert nearer and np.array_equal(np.asarray(picture(0, SIZE)), before)


def test_detections_with_masks_are_written_as_those_without() -> None:
    found = Detections.of(FOUND, SIZE)
    both = Outlined(found, tuple(MASKS))
    assert [row["label"] for row in both.to_dicts()] == ["cat", "dog"]
    assert both.to_coco(7, "a.jpg") == mask_formats.to_coco(list(found), MASKS, SIZE, 7, "a.jpg")
    assert both.to_yolo(["dog", "cat"]) == mask_formats.to_yolo(FOUND, MASKS, SIZE, ["dog", "cat"])
    assert both.to_labelme("a.jpg")["imagePath"] == "a.jpg"

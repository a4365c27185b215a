from __future__ import annotations

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.labeling.masking import outlined

FOUND = Detections.of(
    [Detection("cat", (1, 1, 3, 3), 0.9, 7), Detection("dog", (0, 0, 2, 2), 0.3, 8)], (4, 4)
)


def test_a_thing_without_a_mask_is_its_box() -> None:
    """Such as one below the threshold of masks, exported at a lower one."""
    both = outlined({"masks": {"7": [5, 1, 10]}}, FOUND)
    assert both.masks[0].area == 1 and both.masks[0].box == (1, 1, 2, 2)
    assert [one["area"] for one in both.to_coco()["annotations"]] == [1, 4]
    first, second = both.to_yolo(("cat", "dog")).splitlines()
    assert first.split()[1:3] == ["0.250000", "0.250000"]
    assert second == "1 0.000000 0.000000 0.500000 0.000000 0.500000 0.500000 0.000000 0.500000"
    assert both.to_voc("a.jpg") == FOUND.to_voc("a.jpg") and both.image_size == (4, 4)

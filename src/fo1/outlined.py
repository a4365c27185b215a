"""`Outlined`: detections with their masks, written as `Detections` are without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fo1 import mask_formats
from fo1.detections import Detections
from fo1.masks import Mask


@dataclass(frozen=True)
class Outlined:
    """What was found on an image, and a mask of each in the same order; see `fo1.mask_formats`."""

    found: Detections
    masks: tuple[Mask, ...]

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.found.image_size

    def to_dicts(self) -> list[dict[str, Any]]:
        """Records with the exact masks, as run lengths."""
        return mask_formats.to_dicts(list(self.found), self.masks)

    def to_coco(
        self, image_id: int = 1, file_name: str = "", class_names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """COCO segmentation: polygons."""
        found, size = list(self.found), self.found.image_size
        return mask_formats.to_coco(found, self.masks, size, image_id, file_name, class_names)

    def to_yolo(self, class_names: Sequence[str]) -> str:
        """YOLO-seg: one polygon a thing."""
        return mask_formats.to_yolo(list(self.found), self.masks, self.found.image_size, class_names)

    def to_labelme(self, image_path: str) -> dict[str, Any]:
        """LabelMe: polygons."""
        return mask_formats.to_labelme(list(self.found), self.masks, self.found.image_size, image_path)

    def to_voc(self, file_name: str) -> str:
        """Pascal VOC, which has no masks: boxes."""
        return self.found.to_voc(file_name)

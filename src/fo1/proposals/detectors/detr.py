"""DETR, RT-DETR, D-FINE, YOLOS, …: detectors with a fixed list of names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image
from torch import Tensor
from transformers import AutoModelForObjectDetection

from fo1.proposals.detectors.detector import Detector, on_image
from fo1.types import Regions


class DetrProposer(Detector):
    """Any detector of transformers' `AutoModelForObjectDetection`; labels are its classes."""

    model_class = AutoModelForObjectDetection
    reads = False

    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """All boxes of a batch, as the family's own post-processing reads them."""
        sizes = [image.size for image in images]
        outputs = self.model(**self.pixels(images))
        rows = self.processor.post_process_object_detection(
            outputs, threshold=-1.0, target_sizes=[(height, width) for width, height in sizes]
        )
        return [self._regions(row, size) for row, size in zip(rows, sizes, strict=True)]

    def _regions(self, row: Mapping[str, Tensor], size: tuple[int, int]) -> Regions:
        names = self.model.config.id2label
        return on_image(row["boxes"], row["scores"], size, [names[n] for n in row["labels"].tolist()])

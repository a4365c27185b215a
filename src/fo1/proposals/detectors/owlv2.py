"""OWLv2: boxes at every patch, scored by objectness, or by words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection

from fo1.proposals.detectors.detector import Detector, best_words, from_centres
from fo1.types import Regions


class Owlv2Proposer(Detector):
    """Without words, a box scores what the model's objectness head says, and the text tower never runs."""

    types = ("owlv2",)
    model_class = AutoModelForZeroShotObjectDetection

    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """One box a patch."""
        pixels = self.pixels(images)["pixel_values"]
        boxes, scores = self._by_words(pixels) if self.words else self._by_objectness(pixels)
        words = self.words or None
        return [
            # The image was padded to a square at its right or lower edge.
            best_words(from_centres(box, (max(image.size),) * 2), score, image.size, words)
            for box, score, image in zip(boxes, scores, images, strict=True)
        ]

    def _by_objectness(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps, _ = self.model.image_embedder(pixels)
        cells = maps.flatten(1, 2)
        boxes = self.model.box_predictor(cells, maps)
        return boxes, self.model.objectness_predictor(cells).sigmoid()[..., None]

    def _by_words(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(
            list(self.words), padding="max_length", truncation=True, max_length=16, return_tensors="pt"
        )
        ids, mask = (
            tokens[name].to(pixels.device).repeat(len(pixels), 1) for name in ("input_ids", "attention_mask")
        )
        outputs = self.model(input_ids=ids, pixel_values=pixels, attention_mask=mask)
        return outputs.pred_boxes, torch.sigmoid(outputs.logits)

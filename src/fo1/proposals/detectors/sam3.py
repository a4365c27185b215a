"""SAM 3, asked for concepts. (Its masks of given boxes are in `fo1.segmenting`.)"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import Sam3Model, ViTImageProcessorPil

from fo1.proposals.detectors.detector import Detector, best_words
from fo1.proposals.detectors.words import ANYTHING
from fo1.types import Regions

TOKENS = 32


class Sam3Proposer(Detector):
    """One look at the image and one pass of the decoder per word. Without words it looks for general ones."""

    types = ("sam3", "sam3_video")
    model_class = Sam3Model
    # Resizes to a square and normalises as the folder says, which is all that SAM 3's own (torchvision) does.
    processor_class = ViTImageProcessorPil

    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """One box a query and word."""
        seen = self.model.get_vision_features(**self.pixels(images))
        asked = self.words or ANYTHING
        boxes, scores = [], []
        for number, word in enumerate(asked):
            read = self.tokenizer(
                [word] * len(images),
                padding="max_length",
                truncation=True,
                max_length=TOKENS,
                return_tensors="pt",
            )
            outputs = self.model(vision_embeds=seen, **read.to(self.model.device))
            # Is the word there at all, and if so, is this box one?
            chance = outputs.pred_logits.sigmoid() * outputs.presence_logits.sigmoid()
            boxes.append(outputs.pred_boxes.float())
            scores.append(
                torch.nn.functional.one_hot(torch.tensor(number), len(asked)).to(chance) * chance[..., None]
            )
        frames = [torch.tensor([*image.size] * 2, device=self.model.device) for image in images]
        return [
            best_words(box * frame, score, image.size, self.words or None)
            for box, score, frame, image in zip(
                torch.cat(boxes, 1), torch.cat(scores, 1), frames, images, strict=True
            )
        ]

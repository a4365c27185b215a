"""OmDet-Turbo, of which the paper's proposer (OPN) is a class-agnostic variant."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection

from fo1.proposals.detectors.detector import Detector, best_words, from_centres
from fo1.types import Regions

TOKENS = 77  # of a word or task, as CLIP reads them


class OmDetProposer(Detector):
    """Without words it is asked for one class, "object", and only how much a box is one counts."""

    types = ("omdet-turbo",)
    model_class = AutoModelForZeroShotObjectDetection

    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """One box a query."""
        asked = self.words or ("object",)
        task = f"Detect {', '.join(asked)}." if self.words else "Detect all objects."
        outputs = self.model(
            **self.pixels(images),
            **self._tokens("classes", list(asked) * len(images)),
            **self._tokens("tasks", [task] * len(images)),
            classes_structure=torch.full((len(images),), len(asked), device=self.model.device),
        )
        scores = outputs.decoder_class_logits.sigmoid()
        return [
            best_words(from_centres(box, image.size), score, image.size, self.words or None)
            for box, score, image in zip(outputs.decoder_coord_logits, scores, images, strict=True)
        ]

    def _tokens(self, what: str, texts: list[str]) -> dict[str, torch.Tensor]:
        read = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self.model.device)
        return {f"{what}_{name}": read[name] for name in ("input_ids", "attention_mask")}

"""GroundingDINO, which reads all words as one caption and scores its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection

from fo1.errors import PromptError
from fo1.proposals.detectors.detector import Detector, best_words, from_centres
from fo1.proposals.detectors.words import ANYTHING
from fo1.types import Regions


class GroundingDinoProposer(Detector):
    """A box's score for a word is that of its best token. Without words it looks for general ones."""

    types = ("grounding-dino", "mm-grounding-dino")
    model_class = AutoModelForZeroShotObjectDetection

    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """One box a query. Raises `PromptError` if there are more words than the model reads."""
        asked = tuple(word.strip().lower() for word in self.words or ANYTHING)
        tokens, spans = self._caption(asked)
        outputs = self.model(
            **self.pixels(images),
            **{name: ids.to(self.model.device).repeat(len(images), 1) for name, ids in tokens.items()},
        )
        chances = outputs.logits.float().sigmoid()
        scores = torch.stack([chances[..., span].amax(dim=-1) for span in spans], dim=-1)
        return [
            best_words(from_centres(box, image.size), score, image.size, self.words or None)
            for box, score, image in zip(outputs.pred_boxes, scores, images, strict=True)
        ]

    def _caption(self, asked: Sequence[str]) -> tuple[dict[str, Tensor], list[list[int]]]:
        """Tokens (1, T) of "word. word.", and which of them belong to each word."""
        read = self.tokenizer("".join(f"{word}. " for word in asked).strip(), return_offsets_mapping=True)
        most = self.model.config.max_text_len
        if len(read["input_ids"]) > most:
            raise PromptError(
                f"{len(asked)} words are more than the {most} tokens this detector reads; give fewer"
            )
        spans, start = [], 0
        for word in asked:
            end = start + len(word)
            spans.append([i for i, (a, b) in enumerate(read["offset_mapping"]) if start <= a < b <= end])
            start = end + 2
        names = ("input_ids", "attention_mask", "token_type_ids")
        return {name: torch.tensor([read[name]]) for name in names if name in read}, spans

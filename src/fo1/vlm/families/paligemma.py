"""PaliGemma 1 and 2: one square view before the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, mosaic
from fo1.vlm.family import Sight


class PaliGemma(TappedFamily):
    """The image is stretched to a square. The whole prompt is read in both directions, so what was computed
    for its beginning cannot be reused for another question."""

    model_types = ("paligemma",)
    reads_prompt_both_ways = True

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat(
            before_system="",
            after_system="\n",
            before_image="",
            after_image="<bos>",
            after_question="\n",
            after_answer="<eos>",
            stop="<eos>",
        )

    def view(self, image: Image.Image) -> View:
        pixels = self.processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
        height, width = pixels.shape[-2:]
        cells = (height // self.vision.patch_size, width // self.vision.patch_size)
        ids = (self.base.config.image_token_id,) * (cells[0] * cells[1])
        frame = Frame(image.size, (width, height))
        return View({"pixel_values": pixels}, ids, frame, lambda tiles: mosaic(tiles, (1, 1), cells))

    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        # 0 is the prompt, 1 would be an answer to learn.
        return {**super().inputs(ids, sights), "token_type_ids": torch.zeros_like(ids)}

    def positions(self, ids: Tensor, sight: Sight) -> Tensor:
        """It counts from one."""
        return super().positions(ids, sight) + 1

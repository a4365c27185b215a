"""Qwen2.5-VL, the base of the released VLM-FO1."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel
from transformers.vision_utils import get_vision_window_index

from fo1.encoders.bounds import bounded
from fo1.vlm.families.qwen import QwenFamily


class Qwen2_5VL(QwenFamily):
    """Window attention except in a few blocks, which are tapped: there each cell has seen the whole image.

    min_side, max_side: pixels an image's sides are brought to before the base's processor sees it (see
        `bounded`); the released VLM-FO1 wants 28 and 2048.
    """

    model_types = ("qwen2_5_vl",)

    def __init__(
        self,
        base: PreTrainedModel,
        processor: Any,
        min_side: int | None = None,
        max_side: int | None = None,
    ) -> None:
        super().__init__(base, processor)
        self.min_side, self.max_side = min_side, max_side

    @property
    def width(self) -> int:
        return self._vision.hidden_size

    @property
    def taps(self) -> tuple[int, ...]:
        return tuple(sorted(self._vision.fullatt_block_indexes))

    def pixels(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        return super().pixels(bounded(image, self.min_side, self.max_side))

    def _map(self, states: Tensor, grid: Tensor) -> Tensor:
        """Undoes the window order, which moves whole 2×2 blocks, then as in every Qwen."""
        vision = self._vision
        order, _ = get_vision_window_index(
            grid, vision.spatial_merge_size, vision.window_size, vision.patch_size
        )
        blocks = states.reshape(len(order), -1, states.shape[-1])
        return super()._map(blocks[torch.argsort(order.to(states.device))], grid)

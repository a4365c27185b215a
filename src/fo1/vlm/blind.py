"""`BlindFamily`: language models without eyes. The bundled model's base is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from fo1.encoders.encoder import VisionEncoder
from fo1.prompts.builder import ChatFormat
from fo1.vlm.base import Base
from fo1.vlm.family import Sight, VLMFamily


class BlindFamily(VLMFamily):
    """Sees with a vision encoder that is no part of the base.

    One slot stands for the image in the prompt; the whole image, read as one more region, fills it.
    primary: the encoder. image_slot: the slot's token id.
    """

    blind = True
    model_types = ()

    def __init__(self, base: Base, primary: VisionEncoder, image_slot: int, chat: ChatFormat) -> None:
        super().__init__(base, processor=None)
        self.primary, self.image_slot, self._chat = primary, image_slot, chat

    @property
    def channels(self) -> tuple[int, ...]:
        return self.primary.channels

    @property
    def strides(self) -> tuple[float, ...]:
        return self.primary.strides

    @property
    def chat(self) -> ChatFormat:
        return self._chat

    def see(self, images: Sequence[Image.Image]) -> list[Sight]:
        """One slot, and the encoder's maps."""
        return [Sight((self.image_slot,), maps, None, {}) for maps in self.primary(images)]

    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        """Nothing: such a base only reads."""
        return {}

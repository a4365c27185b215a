"""Mistral Small 3.1 and its kin: a Pixtral tower that takes images of any shape."""

from __future__ import annotations

from PIL import Image

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, layers_read, mosaic


class Mistral3(TappedFamily):
    """The image keeps its shape up to whole merged patches; each row of them ends with a mark."""

    model_types = ("mistral3",)
    LAYERS = "model.vision_tower.transformer.layers"

    @property
    def depth(self) -> int:
        return layers_read(self.base.config.vision_feature_layer, self.vision.num_hidden_layers)

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat(
            start="<s>",
            before_system="[SYSTEM_PROMPT]",
            after_system="[/SYSTEM_PROMPT]",
            before_image="[INST]",
            after_image="",
            after_question="[/INST]",
            after_answer="</s>",
            stop="</s>",
        )

    def view(self, image: Image.Image) -> View:
        patch, merge = int(self.vision.patch_size), int(self.base.config.spatial_merge_size)
        side = patch * merge
        # Of an image that would be one merged patch, transformers 5.23 loses the only token's dimension.
        shown = image.resize((2 * side, 2 * side)) if max(image.size) <= side else image
        prepared = self.processor.image_processor(images=[shown], return_tensors="pt", patch_size=side)
        pixels = {name: prepared[name] for name in ("pixel_values", "image_sizes")}
        height, width = pixels["pixel_values"].shape[-2:]
        cells = (height // patch, width // patch)
        row = "[IMG]" * (cells[1] // merge)
        ids = self.token_ids("[IMG_BREAK]".join([row] * (cells[0] // merge)) + "[IMG_END]")
        return View(
            pixels, ids, Frame(image.size, (width, height)), lambda tiles: mosaic(tiles, (1, 1), cells)
        )

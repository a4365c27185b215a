"""InternVL: tiles of one size, then a thumbnail of the whole image."""

from __future__ import annotations

from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, layers_read, mosaic


class InternVL(TappedFamily):
    """The image is stretched over the grid of tiles whose shape comes closest to its own.

    The map is the tiles', without their class tokens. An image of a single tile has no thumbnail.
    """

    model_types = ("internvl",)
    LAYERS = "model.vision_tower.encoder.layer"

    @property
    def depth(self) -> int:
        return layers_read(self.base.config.vision_feature_layer, self.vision.num_hidden_layers)

    @property
    def stride(self) -> float:
        return float(self.vision.patch_size[0])

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat()

    def view(self, image: Image.Image) -> View:
        preprocess, tokenizer = self.processor.image_processor, self.processor.tokenizer
        # As InternVL's processor does, whatever the image processor's own default.
        pixels = preprocess(images=[image], return_tensors="pt", crop_to_patches=True)["pixel_values"]
        height, width = pixels.shape[-2:]
        columns, rows = get_optimal_tiled_canvas(
            (image.height, image.width), (height, width), preprocess.min_patches, preprocess.max_patches
        )
        cells = (height // self.vision.patch_size[0], width // self.vision.patch_size[1])
        tokens = int(cells[0] * cells[1] * self.base.config.downsample_ratio**2)
        ids = (
            tokenizer.start_image_token_id,
            *[tokenizer.context_image_token_id] * tokens * len(pixels),
            tokenizer.end_image_token_id,
        )
        frame = Frame(image.size, (columns * width, rows * height))
        return View({"pixel_values": pixels}, ids, frame, lambda tiles: mosaic(tiles, (rows, columns), cells))

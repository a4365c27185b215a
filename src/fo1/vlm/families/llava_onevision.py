"""LLaVA-OneVision: the whole image, then tiles of a canvas on which the image is centred."""

from __future__ import annotations

import math

from PIL import Image
from torch import Tensor
from transformers.image_processing_utils import select_best_resolution

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, layers_read, mosaic


class LlavaOnevision(TappedFamily):
    """The map is the canvas's, cut to the cells that the image touches.

    What is left of the padding before it, less than a cell, is the frame's offset. A tile's side is no
    multiple of the patch's (384 = 27 × 14 + 6) and the tower drops the rest; here a cell is a 27th of a tile,
    so that within a tile cells drift by up to 6 pixels, less than half a cell.
    """

    model_types = ("llava_onevision",)

    @property
    def depth(self) -> int:
        return layers_read(self.base.config.vision_feature_layer, self.vision.num_hidden_layers)

    @property
    def cells(self) -> int:
        """Cells along each side of a tile."""
        return int(self.vision.image_size // self.vision.patch_size)

    @property
    def stride(self) -> float:
        return float(self.vision.image_size / self.cells)

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat()

    def view(self, image: Image.Image) -> View:
        prepared = self.processor.image_processor(images=[image], return_tensors="pt")
        pixels = {name: prepared[name] for name in ("pixel_values", "image_sizes")}
        size = int(self.vision.image_size)
        height, width = select_best_resolution(
            (image.height, image.width), self.base.config.image_grid_pinpoints
        )
        scale = min(width / image.width, height / image.height)
        fitted = min(math.ceil(image.width * scale), width), min(math.ceil(image.height * scale), height)
        padding = (width - fitted[0]) // 2, (height - fitted[1]) // 2
        (left, right), (top, bottom) = (
            (math.floor(before / self.stride), math.ceil((before + extent) / self.stride))
            for before, extent in zip(padding, fitted, strict=True)
        )
        offset = padding[0] - left * self.stride, padding[1] - top * self.stride

        def arrange(tiles: Tensor) -> Tensor:
            whole = mosaic(tiles[1:], (height // size, width // size), (self.cells, self.cells))
            return whole[:, top:bottom, left:right]

        tokens = self._tokens(image.size, (width, height))
        ids = (self.base.config.image_token_id,) * tokens
        return View(pixels, ids, Frame(image.size, fitted, offset), arrange)

    def _tokens(self, image_size: tuple[int, int], canvas: tuple[int, int]) -> int:
        """How many tokens the base makes of an image: the whole image's cells, then those of the canvas
        without its padding, fewer if there are too many, and one at the end of each of their rows."""
        columns, rows = (side // int(self.vision.image_size) * self.cells for side in canvas)
        width, height = image_size
        # Rounded as the base rounds, or an image that fits its canvas exactly may lose a row.
        if width / height > columns / rows:
            rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
        else:
            columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
        most = int(self.base.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        excess = math.sqrt(rows * columns / (most * self.cells**2))
        if excess > 1.1:
            rows, columns = int(rows // excess), int(columns // excess)
        return self.cells**2 + rows * (columns + 1)

"""Gemma 3: one square view, and crops of it if pan and scan is on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, mosaic
from fo1.vlm.family import Sight


class Gemma3(TappedFamily):
    """The image is stretched to a square.

    With `do_pan_and_scan` set on its image processor, a long image also comes as a row or column of crops.
    Then the map is theirs; they are of one size but for three pixels at most.
    """

    model_types = ("gemma3",)

    PAN_AND_SCAN: ClassVar[dict[str, float]] = {
        "pan_and_scan_min_crop_size": 256,
        "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    """What Gemma 3's processor takes where the image processor says nothing."""

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat(
            start="<bos>",
            # Gemma knows no system turn; what one says opens the user's.
            before_system="<start_of_turn>user\n",
            after_system="<end_of_turn>\n",
            before_image="<start_of_turn>user\n",
            after_image="",
            after_question="<end_of_turn>\n<start_of_turn>model\n",
            after_answer="<end_of_turn>\n",
            stop="<end_of_turn>",
        )

    def view(self, image: Image.Image) -> View:
        preprocess = self.processor.image_processor
        options = {name: getattr(preprocess, name) or value for name, value in self.PAN_AND_SCAN.items()}
        pan = bool(preprocess.do_pan_and_scan)
        prepared = preprocess(images=[image], return_tensors="pt", do_pan_and_scan=pan, **options)
        pixels, crops = prepared["pixel_values"], int(prepared["num_crops"][0])
        height, width = pixels.shape[-2:]
        long = max(crops, 1)
        grid = (1, long) if image.width >= image.height else (long, 1)
        cells = (height // self.vision.patch_size, width // self.vision.patch_size)
        frame = Frame(image.size, (grid[1] * width, grid[0] * height))
        first = 1 if crops else 0
        return View(
            {"pixel_values": pixels},
            self.token_ids(self.text(crops)),
            frame,
            lambda tiles: mosaic(tiles[first:], grid, cells),
        )

    def text(self, crops: int) -> str:
        """What stands for an image with that many crops."""
        tokenizer = self.processor.tokenizer
        tokens = tokenizer.image_token * int(self.base.config.mm_tokens_per_image)
        one = f"\n\n{tokenizer.boi_token}{tokens}{tokenizer.eoi_token}\n\n"
        if not crops:
            return one
        rest = " ".join([one] * crops)
        return f"Here is the original image {one} and here are some crops to help you see better {rest}"

    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        # 1 where an image's tokens see each other in both directions.
        kinds = (ids == self.base.config.image_token_id).to(ids.dtype)
        return {**super().inputs(ids, sights), "token_type_ids": kinds}

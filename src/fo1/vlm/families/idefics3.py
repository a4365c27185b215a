"""Idefics3 and SmolVLM: a grid of tiles with row and column marks, then the whole image."""

from __future__ import annotations

from PIL import Image

from fo1.encoders.feature_maps import Frame
from fo1.prompts.builder import ChatFormat
from fo1.vlm.families.tapped import TappedFamily, View, mosaic

IMAGE, AROUND, WHOLE = "<image>", "<fake_token_around_image>", "<global-img>"


class Idefics3(TappedFamily):
    """The image is stretched to whole tiles. The map is theirs, or the whole image's if it is not split."""

    model_types = ("idefics3", "smolvlm")
    LAYERS = "model.vision_model.encoder.layers"

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat(
            start=self.processor.tokenizer.bos_token,
            before_system="System: ",
            after_system="<end_of_utterance>\n",
            before_image="User:",
            after_image="",
            after_question="<end_of_utterance>\nAssistant:",
            after_answer="<end_of_utterance>\n",
            stop="<end_of_utterance>",
        )

    def view(self, image: Image.Image) -> View:
        prepared = self.processor.image_processor(
            images=[[image]], return_tensors="pt", return_row_col_info=True
        )
        pixels = {name: prepared[name] for name in ("pixel_values", "pixel_attention_mask")}
        rows, columns = prepared["rows"][0][0], prepared["cols"][0][0]
        height, width = pixels["pixel_values"].shape[-2:]
        grid = (max(rows, 1), max(columns, 1))
        cells = (height // self.vision.patch_size, width // self.vision.patch_size)
        tokens = cells[0] * cells[1] // self.base.config.scale_factor**2
        frame = Frame(image.size, (grid[1] * width, grid[0] * height))
        ids = self.token_ids(self.text(rows, columns, tokens))
        return View(pixels, ids, frame, lambda tiles: mosaic(tiles, grid, cells))

    @staticmethod
    def text(rows: int, columns: int, tokens: int) -> str:
        """What stands for an image of that many tiles, none if it was not split, with `tokens` each."""
        lines = [
            "".join(f"{AROUND}<row_{row}_col_{column}>{IMAGE * tokens}" for column in range(1, columns + 1))
            for row in range(1, rows + 1)
        ]
        whole = f"{AROUND}{WHOLE}{IMAGE * tokens}{AROUND}"
        return "\n".join([*lines, f"\n{whole}"]) if rows else whole

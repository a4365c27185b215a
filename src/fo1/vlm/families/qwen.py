"""`QwenFamily`: what all Qwen image-text models share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.errors import ImageError
from fo1.prompts.builder import ChatFormat
from fo1.vlm.family import Seen, Sight, VLMFamily
from fo1.vlm.tap import spread, tapped


class QwenFamily(VLMFamily):
    """A tower of blocks over all patches of an image, whose 2×2 neighbours stand together; M-RoPE below.

    Preprocessing resizes an image to whole patches and pads nothing.
    """

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels of the tower's blocks."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Indexes of the tapped blocks, ascending."""
        return spread(len(self._base.model.visual.blocks))

    @property
    def channels(self) -> tuple[int, ...]:
        return (self.width,) * len(self.taps)

    @property
    def strides(self) -> tuple[float, ...]:
        return (float(self._vision.patch_size),) * len(self.taps)

    @property
    def chat(self) -> ChatFormat:
        return ChatFormat()

    @property
    def _base(self) -> Any:
        """The base, untyped: its submodules and methods are its family's own."""
        return self.base

    @property
    def _vision(self) -> Any:
        return self.base.config.vision_config

    def see(self, images: Sequence[Image.Image]) -> list[Sight]:
        return [self._look(image) for image in images]

    def _look(self, image: Image.Image) -> Sight:
        """One image at a time, so that its features do not depend on its company."""
        pixels, grid = (part.to(self.base.device) for part in self.pixels(image))
        blocks = self._base.model.visual.blocks
        with tapped([blocks[i] for i in self.taps]) as features:
            outputs = self._base.get_image_features(
                pixel_values=pixels, image_grid_thw=grid, return_dict=True
            )
        # The base reads only these; what else there is would hold on to the tower's last states.
        kept = {key: outputs[key] for key in ("pooler_output", "deepstack_features") if key in outputs}
        config = self.base.config
        image_ids = (config.image_token_id,) * len(outputs.pooler_output[0])
        return Sight(
            (config.vision_start_token_id, *image_ids, config.vision_end_token_id),
            self.maps(image.size, grid, features),
            Seen(**kept),
            {"image_grid_thw": grid},
        )

    def maps(self, size: tuple[int, int], grid: Tensor, features: Sequence[Tensor]) -> FeatureMaps:
        """An image's maps. size: (width, height). grid: (1, 3). features: (H·W, C) of the tapped blocks."""
        (_, rows, columns), patch = grid[0].tolist(), self._vision.patch_size
        frame = Frame(size, (columns * patch, rows * patch))
        return FeatureMaps(tuple(self._map(states, grid) for states in features), self.strides, frame)

    def pixels(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """Patches and the (1, 3) grid from the base's own processor.

        Raises `ImageError` where that refuses, as it does above an aspect of 200.
        """
        try:
            inputs = self.processor.image_processor(images=[image], return_tensors="pt")
        except ValueError as error:
            width, height = image.size
            raise ImageError(
                f"the model's processor refuses an image of {width}×{height} pixels ({error}); crop it"
            ) from error
        return inputs["pixel_values"], inputs["image_grid_thw"]

    def _map(self, states: Tensor, grid: Tensor) -> Tensor:
        """(C, H, W) from a block's output (H·W, C), where the patches that are merged stand together."""
        (_, rows, columns), merge = grid[0].tolist(), self._vision.spatial_merge_size
        blocks = states.reshape(rows // merge, columns // merge, merge, merge, -1)
        return blocks.permute(4, 0, 2, 1, 3).reshape(-1, rows, columns)

    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        # Without an image the grid is empty rather than missing: then the base counts positions afresh,
        # where it would else keep the shift (`rope_deltas`) of an earlier prompt for the tokens it adds.
        grids = [ids.new_zeros((0, 3)), *(sight.inputs["image_grid_thw"] for sight in sights)]
        inputs: dict[str, Any] = {
            "mm_token_type_ids": (ids == self.base.config.image_token_id).long(),
            "image_grid_thw": torch.cat(grids),
        }
        if sights:
            # A new object each time: `generate` with beams changes it in place.
            seen = [sight.outputs for sight in sights if sight.outputs is not None]
            inputs["mm_encoder_outputs"] = {"image": _merged(seen)}
        return inputs

    def positions(self, ids: Tensor, sight: Sight) -> Tensor:
        """Three rows: an image's tokens count frames, rows and columns."""
        given = self.inputs(ids[None], [sight])
        kinds, grid = given["mm_token_type_ids"], given["image_grid_thw"]
        counted: Tensor = self._base.model.get_rope_index(
            ids[None], mm_token_type_ids=kinds, image_grid_thw=grid
        )[0]
        return counted[:, 0]


def _merged(outputs: Sequence[Seen]) -> Seen:
    """Outputs of several images as one: a tensor per image, and per deepstack layer a tensor per image."""
    deep: list[tuple[Tensor, ...]] | None = None
    if outputs[0].deepstack_features is not None:
        layers = zip(*(one.deepstack_features for one in outputs), strict=True)
        deep = [tuple(t for one in layer for t in one) for layer in layers]
    pooled = tuple(t for one in outputs for t in one.pooler_output)
    return Seen(pooler_output=pooled, deepstack_features=deep)

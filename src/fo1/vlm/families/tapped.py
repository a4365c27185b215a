"""`TappedFamily`: what families have in common whose tower is one stack of transformer layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.vlm.family import Seen, Sight, VLMFamily
from fo1.vlm.tap import spread, tapped


@dataclass(frozen=True)
class View:
    """One image, prepared for the tower.

    pixels: keyword arguments of the base's `get_image_features`.
    ids: what stands for the image in a prompt.
    frame: where the map lies on the image.
    arrange: turns a tapped layer's output (tiles, tokens, C) into one map (C, H, W) in image order.
    """

    pixels: dict[str, Any]
    ids: tuple[int, ...]
    frame: Frame
    arrange: Callable[[Tensor], Tensor]


class TappedFamily(VLMFamily):
    """Taps the last layer that the base reads and up to three evenly spaced earlier ones, before any norm,
    merging or projection behind the tower. A subclass says how an image is prepared (`view`)."""

    LAYERS: ClassVar[str] = "model.vision_tower.encoder.layers"
    """Where in the base the tower's layers are, in the order in which they run."""

    @abstractmethod
    def view(self, image: Image.Image) -> View:
        """An RGB image as the base's own image processor prepares it."""

    @property
    def stride(self) -> float:
        """Input pixels per cell: a patch, unless a family says otherwise."""
        return float(self.vision.patch_size)

    @property
    def vision(self) -> Any:
        """The tower's config."""
        return self.base.config.vision_config

    @property
    def depth(self) -> int:
        """How many of the tower's layers the base reads; those above are ignored."""
        return int(self.vision.num_hidden_layers)

    @property
    def taps(self) -> tuple[int, ...]:
        """Indexes of the tapped layers, ascending."""
        return spread(self.depth)

    @property
    def channels(self) -> tuple[int, ...]:
        return (int(self.vision.hidden_size),) * len(self.taps)

    @property
    def strides(self) -> tuple[float, ...]:
        return (self.stride,) * len(self.taps)

    def see(self, images: Sequence[Image.Image]) -> list[Sight]:
        return [self._look(self.view(image)) for image in images]

    def _look(self, view: View) -> Sight:
        pixels = {name: value.to(self.base.device) for name, value in view.pixels.items()}
        base: Any = self.base
        layers = list(base.get_submodule(self.LAYERS).children())
        with tapped([layers[i] for i in self.taps]) as features:
            seen = base.get_image_features(**pixels, return_dict=True)
        maps = FeatureMaps(tuple(view.arrange(states) for states in features), self.strides, view.frame)
        # The rest of `seen`, the tower's hidden states, is never read again; letting it go saves memory.
        return Sight(view.ids, maps, Seen(pooler_output=seen.pooler_output), {})

    def inputs(self, ids: Tensor, sights: Sequence[Sight]) -> dict[str, Any]:
        return {"mm_encoder_outputs": {"image": merged(sights)}} if sights else {}

    def token_ids(self, text: str) -> tuple[int, ...]:
        """Ids of our own text, in which special tokens mean themselves."""
        return tuple(self.processor.tokenizer(text, add_special_tokens=False).input_ids)


def merged(sights: Sequence[Sight]) -> Seen:
    """Image tokens of several sights in one new object, since `generate` rewrites what it is given."""
    pooled: list[Any] = [sight.outputs.pooler_output for sight in sights if sight.outputs is not None]
    whole: Any = [part for parts in pooled for part in parts]
    if isinstance(pooled[0], Tensor):
        whole = torch.cat(pooled)
    return Seen(pooler_output=whole)


def mosaic(tiles: Tensor, grid: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """Lays tiles out as they lie in the image: (tiles, tokens, C) → (C, H, W).

    grid: rows and columns of tiles, which come row by row; tiles beyond them (a thumbnail) are left out.
    cells: rows and columns of cells in a tile; tokens before them (a class token) are left out.
    """
    (rows, columns), (height, width) = grid, cells
    patches = tiles[: rows * columns, -height * width :].unflatten(1, cells).unflatten(0, grid)
    return patches.permute(4, 0, 2, 1, 3).flatten(3, 4).flatten(1, 2)


def layers_read(feature_layer: int | Sequence[int], depth: int) -> int:
    """How many layers a base reads that selects hidden states by index, where 0 is before the first layer."""
    indices = [feature_layer] if isinstance(feature_layer, int) else feature_layer
    return max(1, *(index if index >= 0 else depth + 1 + index for index in indices))

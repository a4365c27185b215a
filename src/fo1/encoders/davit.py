"""DaViT (arXiv 2204.03645): the vision tower of Florence-2, the auxiliary encoder of the released model.

The network itself is transformers' `Florence2VisionBackbone`, run stage by stage to keep all four maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import Florence2VisionConfig
from transformers.models.florence2.modeling_florence2 import Florence2VisionBackbone

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import IMAGENET, Aspect, Sizing
from fo1.encoders.pointwise import as_convolutions
from fo1.errors import CheckpointError

STAGES = 4


@dataclass(frozen=True)
class DaViTConfig:
    """Sizes of one DaViT, a number per stage.

    dims: channels. depths: blocks, each one spatial and one channel block.
    heads: of the attention within windows; by default one per 32 channels.
    groups: of the attention between channels; by default as many as heads.
    window: side of a window, in cells.
    Raises `CheckpointError` for sizes that make no network.
    """

    dims: tuple[int, ...]
    depths: tuple[int, ...] = (1, 1, 9, 1)
    heads: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    window: int = 12

    def __post_init__(self) -> None:
        heads = self.heads or tuple(dim // 32 for dim in self.dims)
        object.__setattr__(self, "heads", heads)
        object.__setattr__(self, "groups", self.groups or heads)
        stages = (self.dims, self.depths, self.heads, self.groups)
        if any(len(sizes) != STAGES or min(sizes) < 1 for sizes in stages) or self.window < 1:
            raise CheckpointError(f"a DaViT has {STAGES} stages of positive sizes, not those of {self}")
        for count in (self.heads, self.groups):
            if any(dim % n for dim, n in zip(self.dims, count, strict=True)):
                raise CheckpointError(f"channels {self.dims} cannot be divided among {count} heads or groups")

    def backbone(self) -> Florence2VisionConfig:
        """The same in transformers' words."""
        return Florence2VisionConfig(
            embed_dim=self.dims,
            depths=self.depths,
            num_heads=self.heads,
            num_groups=self.groups,
            window_size=self.window,
            drop_path_rate=0.0,
        )


BASE = DaViTConfig((128, 256, 512, 1024))
LARGE = DaViTConfig((256, 512, 1024, 2048))
"""The sizes of Florence-2, of 90 and 361 million parameters."""


class DaViT(nn.Module):
    """A `VisionEncoder` of four maps at strides 4, 8, 16, 32; their sides are rounded up.

    aspect, min_side, max_side: how an image is resized before it is read (see `Sizing`).
    """

    def __init__(
        self,
        config: DaViTConfig = LARGE,
        aspect: Aspect = "dynamic",
        min_side: int | None = 28,
        max_side: int | None = 2048,
    ) -> None:
        super().__init__()
        self.config = config
        self.sizing = Sizing(aspect, min_side, max_side)
        self.backbone = Florence2VisionBackbone(config.backbone())
        as_convolutions(self.backbone)

    @property
    def channels(self) -> tuple[int, ...]:
        return self.config.dims

    @property
    def strides(self) -> tuple[float, ...]:
        return (4.0, 8.0, 16.0, 32.0)

    def forward(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        """The four maps of each image, (C, H, W). Images run one by one: their sizes differ."""
        return [self._look(image) for image in images]

    def _look(self, image: Image.Image) -> FeatureMaps:
        sized = self.sizing(image)
        pixels = IMAGENET([sized], sized.size, like=next(self.parameters()))
        maps = tuple(m[0] for m in self.maps(pixels))
        return FeatureMaps(maps, self.strides, Frame(image.size, sized.size))

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The outputs (B, C, ⌈H / stride⌉, ⌈W / stride⌉) of all stages on a normalised batch (B, 3, H, W)."""
        # Channels last, as tokens are: then the blocks' changes between maps and tokens move no memory.
        x, maps = pixels.contiguous(memory_format=torch.channels_last), []
        for embed, blocks in zip(self.backbone.convs, self.backbone.blocks, strict=True):
            x = embed(x)
            for block in cast(nn.ModuleList, blocks):
                x = block(x)
            maps.append(x)
        return tuple(maps)

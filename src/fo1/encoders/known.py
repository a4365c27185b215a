"""The encoders there are, by name. Installed packages add theirs under the entry points "fo1.encoders"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fo1.encoders.davit import BASE, LARGE, DaViT, DaViTConfig
from fo1.encoders.efficientnet_lite import EfficientNetLite, EfficientNetPyramid
from fo1.encoders.encoder import VisionEncoder
from fo1.encoders.nanodet import NanoDet
from fo1.encoders.timm_encoder import TimmEncoder
from fo1.registry import Registry


def davit(
    dims: Sequence[int] = LARGE.dims,
    depths: Sequence[int] = LARGE.depths,
    heads: Sequence[int] = (),
    groups: Sequence[int] = (),
    window: int = LARGE.window,
    **options: Any,
) -> DaViT:
    """A DaViT of any size, as a config file describes it. options: `DaViT`'s own."""
    config = DaViTConfig(tuple(dims), tuple(depths), tuple(heads), tuple(groups), window)
    return DaViT(config, **options)


def efficientnet(variant: str, longest_sides: Sequence[int] = (256, 448, 704)) -> EfficientNetPyramid:
    """A pyramid of one of EfficientNet-Lite's variants."""
    return EfficientNetPyramid(EfficientNetLite(variant), longest_sides)


# Each factory takes its encoder's options and makes it with random weights.
ENCODERS: Registry[VisionEncoder] = Registry("fo1.encoders")
ENCODERS.register("davit")(davit)
ENCODERS.register("davit-base")(partial(DaViT, BASE))
ENCODERS.register("davit-large")(partial(DaViT, LARGE))
ENCODERS.register("nanodet")(NanoDet)
for _variant in ("lite0", "lite1", "lite2"):
    ENCODERS.register(f"efficientnet-{_variant}")(partial(efficientnet, _variant))
ENCODERS.register("timm")(TimmEncoder)

"""What every vision encoder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from fo1.encoders.feature_maps import FeatureMaps


class VisionEncoder(Protocol):
    """Turns images into feature maps. Consumers ask it for widths instead of typing them again."""

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each map."""

    @property
    def strides(self) -> tuple[float, ...]:
        """Input pixels per cell of each map."""

    def __call__(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        """One `FeatureMaps` per RGB image; preprocessing (resize, normalise) is the encoder's own."""

"""Proposers: image → candidate boxes, and the one selection step they all share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fo1.boxes import nms
from fo1.types import Regions

if TYPE_CHECKING:
    from fo1.encoders.encoder import VisionEncoder
    from fo1.encoders.feature_maps import FeatureMaps


class Proposer(Protocol):
    """Anything that finds candidate boxes."""

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """One `Regions` per image, even if empty; boxes in pixels of the image given."""


@runtime_checkable
class FeatureProposer(Protocol):
    """A proposer that reads boxes off the auxiliary encoder's maps, so the network runs only once."""

    @property
    def encoder(self) -> VisionEncoder:
        """The encoder whose maps it reads."""

    def propose_from(self, features: Sequence[FeatureMaps]) -> list[Regions]:
        """As `Proposer.propose`, from feature maps already computed."""


@runtime_checkable
class Keyed(Protocol):
    """A proposer that can say what its boxes depend on, for a cache of them."""

    @property
    def key(self) -> str:
        """Its model, words and thresholds."""


def key_of(proposer: Proposer, name: str) -> str:
    """What a cache calls a proposer: its key, or else the name it goes by."""
    return proposer.key if isinstance(proposer, Keyed) else name


@dataclass(frozen=True)
class Selection:
    """Which proposals are kept: score ≥ `min_score`, class-agnostic NMS at `iou`, the `top_k` best."""

    min_score: float = 0.0
    iou: float = 1.0
    top_k: int = 100

    def __call__(self, regions: Regions) -> Regions:
        """Kept regions, best score first."""
        return regions.take(self.indices(regions))

    def indices(self, regions: Regions) -> NDArray[np.int64]:
        """Which are kept, best score first."""
        order = np.flatnonzero(regions.scores >= self.min_score)
        kept = order[nms(regions.xyxy[order], regions.scores[order], self.iou)]
        return kept[: self.top_k]

"""The Hybrid Fine-grained Region Encoder: two encoders' feature maps + boxes → one embedding per region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fo1.encoders.feature_maps import FeatureMaps
from fo1.regions.branches import Branch
from fo1.regions.connector import Connector
from fo1.regions.evidence import NameEvidence
from fo1.regions.gallery import Gallery
from fo1.regions.namers import Namer
from fo1.regions.position import box_embedding
from fo1.types import Regions

Fusion = Literal["concat", "mean", "primary", "auxiliary"]
Position = Literal["add", "concat", "none"]


@dataclass(frozen=True)
class RegionFeatures:
    """What the frozen encoders say of N regions, before anything trained in stage 1 but the pyramid.

    primary: (N, Cp), auxiliary: (N, Ca), evidence: (N, K) class probabilities (K may be 0),
    boxes: (N, 4) xyxy as fractions of the image's width and height. All float32.
    recalled: (N, V) what a gallery makes of them; None without one, and until it was asked.
    """

    primary: Tensor
    auxiliary: Tensor
    evidence: Tensor
    boxes: Tensor
    recalled: Tensor | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def said(self) -> Tensor:
        """(N, K + V): class probabilities, and what was recalled."""
        return self.evidence if self.recalled is None else torch.cat([self.evidence, self.recalled], dim=1)

    def take(self, rows: Tensor) -> RegionFeatures:
        """The features of the regions at `rows`."""
        return self._each(lambda value: value[rows])

    @classmethod
    def stack(cls, parts: Sequence[RegionFeatures]) -> RegionFeatures:
        """The regions of several, one after another; all have recalled, or none."""
        names = [f.name for f in fields(cls) if getattr(parts[0], f.name) is not None]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def float(self) -> RegionFeatures:
        """In float32, from a cache in half precision."""
        return self._each(Tensor.float)

    def _each(self, change: Callable[[Tensor], Tensor]) -> RegionFeatures:
        known = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        return RegionFeatures(**{name: change(value) for name, value in known.items()})


@dataclass(frozen=True)
class FusionConfig:
    """How the two branches become one feature.

    fusion: concat both, their mean (equal widths), or one alone. position: the box embedding is added to the
    feature (released model), concatenated with `position_width` numbers, or left out.
    normalise: layer norm on each branch first.
    """

    fusion: Fusion = "concat"
    position: Position = "add"
    position_width: int = 256
    normalise: bool = False

    def widths(self, primary: int, auxiliary: int) -> tuple[int, int]:
        """Width of the fused feature, and of the box embedding, from the branches' widths."""
        if self.fusion == "mean" and primary != auxiliary:
            raise ValueError(f"mean fusion needs equal widths, got {primary} and {auxiliary}")
        fused = {"concat": primary + auxiliary, "mean": primary, "primary": primary, "auxiliary": auxiliary}
        position = {"add": fused[self.fusion], "concat": self.position_width, "none": 0}
        return fused[self.fusion], position[self.position]


class HybridRegionEncoder(nn.Module):
    """Pools both encoders' maps over each box, fuses, adds where it is, and connects to the language model.

    primary, auxiliary: the branches; no auxiliary one with `fusion="primary"`. connector: its input
    width must be `connector_width(...)`.
    namers: what the encoders call a region; with them comes `evidence`, which weighs also what a `gallery`
        recalls.
    """

    def __init__(
        self,
        primary: Branch,
        auxiliary: Branch | None,
        connector: Connector,
        config: FusionConfig,
        primary_namer: Namer | None = None,
        auxiliary_namer: Namer | None = None,
        evidence: NameEvidence | None = None,
        gallery: Gallery | None = None,
    ) -> None:
        super().__init__()
        self.primary, self.auxiliary, self.connector, self.config = primary, auxiliary, connector, config
        self.primary_namer, self.auxiliary_namer, self.evidence = primary_namer, auxiliary_namer, evidence
        self.gallery = gallery

    @staticmethod
    def connector_width(config: FusionConfig, primary: int, auxiliary: int, names: int = 0) -> int:
        """The connector's input width, from the branches' widths and the number of evidence classes."""
        fused, position = config.widths(primary, auxiliary)
        return fused + (position if config.position == "concat" else 0) + names

    def pool(self, primary: FeatureMaps, auxiliary: FeatureMaps | None, regions: Regions) -> RegionFeatures:
        """The part that frozen encoders decide; cached in training."""
        boxes = torch.tensor(regions.xyxy, device=primary.maps[0].device)
        in_primary = primary.frame.boxes_in(boxes)
        frame = torch.tensor(primary.frame.input_size * 2, device=boxes.device)
        offset = torch.tensor(primary.frame.offset * 2, device=boxes.device)
        pooled_primary = self.primary(primary, in_primary)
        pooled_auxiliary = boxes.new_zeros(len(boxes), 0)
        named = [boxes.new_zeros(len(boxes), 0)]
        if auxiliary is not None and self.auxiliary is not None:
            in_auxiliary = auxiliary.frame.boxes_in(boxes)
            pooled_auxiliary = self.auxiliary(auxiliary, in_auxiliary)
            if self.auxiliary_namer is not None:
                named.append(self.auxiliary_namer(auxiliary, in_auxiliary, pooled_auxiliary))
        if self.primary_namer is not None:
            named.append(self.primary_namer(primary, in_primary, pooled_primary))
        return RegionFeatures(
            pooled_primary, pooled_auxiliary, torch.cat(named, dim=1), (in_primary - offset) / frame
        )

    def recall(self, features: RegionFeatures) -> RegionFeatures:
        """The same features, and what the gallery makes of them."""
        if self.gallery is None or features.recalled is not None:
            return features
        return replace(features, recalled=self.gallery(self.hybrid(features)))

    def hybrid(self, features: RegionFeatures) -> Tensor:
        """Both branches as one feature, (N, fused width), wherever the box is."""
        primary, auxiliary = features.primary, features.auxiliary
        if self.config.normalise:
            primary = F.layer_norm(primary, primary.shape[-1:])
            auxiliary = F.layer_norm(auxiliary, auxiliary.shape[-1:])
        return {
            "concat": lambda: torch.cat([auxiliary, primary], dim=1),
            "mean": lambda: (auxiliary + primary) / 2,
            "primary": lambda: primary,
            "auxiliary": lambda: auxiliary,
        }[self.config.fusion]()

    def fuse(self, features: RegionFeatures) -> Tensor:
        """The hybrid region feature with its position, (N, fused width)."""
        fused = self.hybrid(features)
        _, width = self.config.widths(features.primary.shape[1], features.auxiliary.shape[1])
        if self.config.position == "none":
            return fused
        position = box_embedding(features.boxes, (1.0, 1.0), width)
        return fused + position if self.config.position == "add" else torch.cat([fused, position], dim=1)

    def embed(self, features: RegionFeatures) -> Tensor:
        """Region embeddings (N, D) in the connector's dtype."""
        fused = self.fuse(features)
        dtype = next(self.connector.mlp.parameters()).dtype
        if self.evidence is None:
            return self.connector(fused.to(dtype))
        seen = torch.cat([fused, features.evidence], dim=1)
        residual = self.evidence(self.recall(features).said)
        return self.connector(seen.to(dtype), residual.to(dtype))

    def forward(self, primary: FeatureMaps, auxiliary: FeatureMaps | None, regions: Regions) -> Tensor:
        """One image's region embeddings, (N, D)."""
        return self.embed(self.pool(primary, auxiliary, regions))

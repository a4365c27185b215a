"""Several proposers as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fo1.errors import RegionError
from fo1.proposals.proposer import Proposer, Selection, key_of
from fo1.types import Regions

DEFAULT_SELECTION = Selection(min_score=0.0, iou=0.7, top_k=100)


@dataclass(frozen=True)
class Sourced:
    """Regions, and for each the name of the proposer that it came from."""

    regions: Regions
    sources: tuple[str, ...]


class Union:
    """A `Proposer` of what several find, each thing once: of boxes on one thing, the one that scores best.

    members: proposers by name. Each selects for itself; `selection` is for all together. Scores of different
    detectors are compared as they are, so one that is sure of itself comes first: give each a `top_k`.
    Labels are kept if every member gives some.
    """

    def __init__(
        self, members: Sequence[tuple[str, Proposer]], selection: Selection = DEFAULT_SELECTION
    ) -> None:
        if not members:
            raise RegionError("a union needs at least one proposer")
        self.members, self.selection = tuple(members), selection

    @property
    def key(self) -> str:
        """Tells apart members and thresholds in a cache."""
        return " + ".join(key_of(proposer, name) for name, proposer in self.members) + f" {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each image, best first."""
        return [one.regions for one in self.sourced(images)]

    def sourced(self, images: Sequence[Image.Image]) -> list[Sourced]:
        """As `propose`, and who found each."""
        found = [proposer.propose(images) for _, proposer in self.members]
        return [self._merged(one) for one in zip(*found, strict=True)]

    def _merged(self, found: Sequence[Regions]) -> Sourced:
        labels = [label for one in found for label in one.labels or ()]
        every = Regions.of(
            np.concatenate([one.xyxy for one in found]),
            found[0].image_size,
            np.concatenate([one.scores for one in found]),
            labels if len(labels) == sum(map(len, found)) else None,
        )
        sources = [name for (name, _), one in zip(self.members, found, strict=True) for _ in range(len(one))]
        kept = self.selection.indices(every)
        return Sourced(every.take(kept), tuple(sources[i] for i in kept))

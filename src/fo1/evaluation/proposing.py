"""`Proposals`: the boxes a run gives a model instead of those of its own proposer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL import Image

from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.proposals.cached import CachedProposals
from fo1.proposals.known import PROPOSERS
from fo1.proposals.proposer import Proposer
from fo1.types import Regions


class Proposals:
    """A proposer, or a file of proposals, which is asked by the image's file name before its pixels.

    name: what a run's settings say of them.
    """

    def __init__(self, name: str, proposer: Proposer) -> None:
        self.name, self._proposer = name, proposer

    @classmethod
    def of(cls, text: str) -> Proposals:
        """text: a file (see `fo1.proposals.cached`), or a proposer's name.

        Raises `RegionError` for a file that cannot be used, `RegistryError` or `BenchmarkError` for a name.
        """
        path = Path(text)
        if path.is_file():
            digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
            return cls(f"{path.name} {digest}", CachedProposals(path))
        if path.suffix:
            raise BenchmarkError(f"--proposals {text}: no such file")
        return cls(text, _named(text))

    def regions(self, sample: Sample[Any], image: Image.Image) -> Regions:
        """Boxes of a sample's image. Raises `RegionError` if the file has none for it."""
        if isinstance(self._proposer, CachedProposals) and isinstance(sample.image, Path):
            if sample.image.name in self._proposer:
                return self._proposer.named(sample.image.name, image.size)
        return self._proposer.propose([image])[0]


def _named(name: str) -> Proposer:
    if name == "nanodet":
        from fo1.checkpoints.native import bundled_proposer

        return bundled_proposer()
    factory = PROPOSERS.get(name)
    if name in ("given", "cached"):
        raise BenchmarkError(f"--proposals {name} needs boxes; give the file that holds them instead")
    return factory()

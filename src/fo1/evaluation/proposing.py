"""`Proposals`: the boxes a run gives a model instead of those of its own proposer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from fo1.errors import RegistryError
from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.fingerprint import file_digest
from fo1.loading import load_proposer
from fo1.proposals.cached import CachedProposals
from fo1.proposals.proposer import Proposer
from fo1.types import Regions


class Proposals:
    """A proposer, or a file of proposals, which may know images by their file names only.

    name: what a run's settings say of them.
    """

    def __init__(self, name: str, proposer: Proposer) -> None:
        self.name, self._proposer = name, proposer

    @classmethod
    def of(cls, text: str) -> Proposals:
        """text: a file (see `fo1.proposals.cached`), or a proposer as `load_proposer` takes it.

        Raises `RegionError` for a file that cannot be used, `RegistryError` or `BenchmarkError` for a name.
        """
        path = Path(text)
        if path.is_file():
            return cls(f"{path.name} {file_digest(path)}", CachedProposals(path))
        try:
            return cls(text, load_proposer(text))
        except RegistryError as error:
            if Path(text.partition("?")[0]).suffix and ":" not in text:
                raise BenchmarkError(f"--proposals {text}: no such file") from error
            raise

    def regions(self, sample: Sample[Any], image: Image.Image) -> Regions:
        """Boxes of a sample's image. Raises `RegionError` if the file has none for it."""
        if isinstance(self._proposer, CachedProposals) and isinstance(sample.image, Path):
            return self._proposer.of(sample.image, image)
        return self._proposer.propose([image])[0]

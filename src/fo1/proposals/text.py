"""Where text stands on an image: the lines that the bundled reader finds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from fo1.fingerprint import fingerprint
from fo1.proposals.proposer import Selection
from fo1.reading.reader import Reader
from fo1.types import Regions

DEFAULT_SELECTION = Selection(min_score=0.5, iou=0.7, top_k=100)
LABEL = "text"


class TextProposer:
    """Upright boxes around lines of text, whichever way they run; only where they are, not what they say."""

    def __init__(
        self,
        reader: Reader,
        device: torch.device | None = None,
        selection: Selection = DEFAULT_SELECTION,
    ) -> None:
        self.reader, self.selection = reader, selection
        self.device = device or torch.device("cpu")

    @property
    def key(self) -> str:
        """Tells apart weights and thresholds in a cache."""
        return f"text {fingerprint(self.reader.finder)} {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each RGB image, best first, in its own pixels."""
        return [self.selection(self._lines(image)) for image in images]

    def _lines(self, image: Image.Image) -> Regions:
        found = self.reader.find(image, self.device)
        return Regions(found.xyxy, found.scores, found.image_size, (LABEL,) * len(found))

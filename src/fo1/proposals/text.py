"""Where text stands on an image, for regions to read. Needs the extra `text`: RapidOCR and its own model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image

from fo1.boxes import clip
from fo1.errors import Fo1Error
from fo1.proposals.proposer import Selection
from fo1.types import Regions

DEFAULT_SELECTION = Selection(min_score=0.3, iou=0.7, top_k=100)
LABEL = "text"


class TextProposer:
    """Upright boxes around lines of text, in any orientation; only where they are, not what they say.

    engine: as `rapidocr.RapidOCR`; by default one with its own settings. Raises `Fo1Error` without the extra.
    """

    def __init__(self, engine: Any = None, selection: Selection = DEFAULT_SELECTION) -> None:
        self.engine = _rapidocr() if engine is None else engine
        self.selection = selection

    @property
    def key(self) -> str:
        """Tells apart thresholds in a cache."""
        return f"text {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each RGB image, best first, in its own pixels."""
        return [self.selection(self._lines(image)) for image in images]

    def _lines(self, image: Image.Image) -> Regions:
        # It reads blue first.
        pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]
        seen = self.engine(np.ascontiguousarray(pixels), use_det=True, use_cls=False, use_rec=False)
        if seen.boxes is None:
            return Regions.empty(image.size)
        corners = np.asarray(seen.boxes, dtype=np.float32)  # (N, 4, 2): a line may be slanted
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Regions.of(clip(boxes, image.size), image.size, seen.scores, [LABEL] * len(boxes))


def _rapidocr() -> Any:
    try:
        return import_module("rapidocr").RapidOCR(params={"Global.log_level": "error"})
    except ImportError as error:
        raise Fo1Error(f"text regions need rapidocr ({error}); run: pip install 'fo1[text]'") from error

"""`Detector`: what all proposers around a detector of transformers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, PreTrainedModel

from fo1.boxes import area, clip
from fo1.encoders.pixels import batches_of_equal
from fo1.errors import CheckpointError
from fo1.fingerprint import fingerprint
from fo1.proposals.proposer import Selection
from fo1.types import Regions

DEFAULT_SELECTION = Selection(min_score=0.05, iou=0.7, top_k=100)
BATCH = 4
CANDIDATES = 1000  # boxes that enter the selection, so that suppression stays quick


class Detector(ABC):
    """A `Proposer` around a detector of transformers, run on a few images of one size at a time.

    processor: makes its `pixel_values`. tokenizer: of a detector that reads words.
    words: names to look for, which then are the labels; with none, anything that is an object.
    """

    types: ClassVar[tuple[str, ...]] = ()
    """Model types whose folders `load` takes; none named: any that `model_class` knows."""
    model_class: ClassVar[Any]
    processor_class: ClassVar[Any] = AutoImageProcessor
    reads: ClassVar[bool] = True
    """Has it a tokenizer?"""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        tokenizer: Any = None,
        words: Sequence[str] = (),
        selection: Selection = DEFAULT_SELECTION,
    ) -> None:
        if words and not self.reads:
            raise CheckpointError(
                f"a {model.config.model_type} detector has names of its own; leave out words"
            )
        self.model = model.eval().requires_grad_(False)
        self.processor, self.tokenizer = processor, tokenizer
        self.words, self.selection = tuple(words), selection

    @classmethod
    def load(
        cls,
        source: str,
        words: Sequence[str] = (),
        selection: Selection = DEFAULT_SELECTION,
        device: str | torch.device = "cpu",
    ) -> Detector:
        """From a folder or a hub id. Raises `CheckpointError` if it is of another family or incomplete."""
        try:
            kind = AutoConfig.from_pretrained(source).model_type
            if cls.types and kind not in cls.types:
                raise CheckpointError(
                    f"{source} is a {kind}, not a {' or '.join(cls.types)}; see docs/proposers.md"
                )
            # Without torchvision only processors on PIL work, and not every family has one.
            backend = {"backend": "pil"} if cls.processor_class is AutoImageProcessor else {}
            processor = cls.processor_class.from_pretrained(source, **backend)
            tokenizer = AutoTokenizer.from_pretrained(source) if cls.reads else None
            model = cls.model_class.from_pretrained(source)
        except CheckpointError:
            raise
        except (OSError, ImportError, KeyError, ValueError) as error:
            raise CheckpointError(f"no detector can be loaded from {source}: {error}") from error
        return cls(model.to(device), processor, tokenizer, words, selection)

    @property
    def key(self) -> str:
        """Tells apart detectors, words and thresholds in a cache."""
        return f"{self.model.config.model_type} {fingerprint(self.model)} {list(self.words)} {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each RGB image, best first, in its own pixels."""
        found: dict[int, Regions] = {}
        with torch.inference_mode():
            # Images of one size at a time: some families pad, and see the padding a little.
            for _, alike in batches_of_equal([image.size for image in images]):
                for start in range(0, len(alike), BATCH):
                    batch = alike[start : start + BATCH]
                    found |= zip(batch, self.candidates([images[i] for i in batch]), strict=True)
        return [self.selection(found[i]) for i in range(len(images))]

    @abstractmethod
    def candidates(self, images: Sequence[Image.Image]) -> list[Regions]:
        """All boxes of images of one size, before selection."""

    def pixels(self, images: Sequence[Image.Image]) -> Any:
        """What the model takes for its images: `pixel_values`, and a mask where sizes differ."""
        rgb = [image.convert("RGB") for image in images]
        return self.processor(images=rgb, return_tensors="pt").to(self.model.device, self.model.dtype)


def from_centres(boxes: Tensor, frame: tuple[float, float]) -> Tensor:
    """Boxes (…, 4) of centre, width and height in shares of a frame → corners in pixels."""
    centre, side = boxes.float().split(2, dim=-1)
    corners = torch.cat([centre - side / 2, centre + side / 2], dim=-1)
    return corners * torch.tensor([*frame, *frame], device=boxes.device)


def best_words(boxes: Tensor, scores: Tensor, size: tuple[int, int], words: Sequence[str] | None) -> Regions:
    """Regions of the best candidates, each with its best word.

    boxes: (N, 4) xyxy pixels. scores: (N, words). size: (width, height) of the image.
    words: None if they were only a way to say "anything".
    """
    best, which = scores.float().max(dim=1)
    best, order = best.topk(min(CANDIDATES, len(best)))
    labels = None if words is None else [words[i] for i in which[order].tolist()]
    return on_image(boxes[order], best, size, labels)


def on_image(boxes: Tensor, scores: Tensor, size: tuple[int, int], labels: Sequence[str] | None) -> Regions:
    """Regions of boxes (N, 4) in pixels, clipped to the image; those beside it are left out."""
    clipped = clip(boxes.float().cpu().numpy(), size)
    found = Regions.of(clipped, size, scores.float().cpu().numpy(), labels)
    return found.take(np.flatnonzero(area(clipped) > 0))

"""Proposals from NanoDet's own heads: class-agnostic boxes, scored by their best class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from fo1.boxes import clip
from fo1.encoders import names
from fo1.encoders.feature_maps import FeatureMaps
from fo1.encoders.nanodet import NanoDet
from fo1.fingerprint import fingerprint
from fo1.proposals.proposer import Selection
from fo1.types import Regions

DEFAULT_SELECTION = Selection(min_score=0.03, iou=0.65, top_k=100)


def decoded(distribution: Tensor, stride: float) -> Tensor:
    """Boxes (H · W, 4) in input pixels, row by row, of a map (4 · bins, H, W) of distance logits.

    Each side's distance from the centre of its cell is the mean of its distribution over 0 … bins − 1 cells
    (Generalized Focal Loss, Li et al. 2020).
    """
    _, height, width = distribution.shape
    logits = distribution.float().reshape(4, -1, height * width)
    bins = torch.arange(logits.shape[1], dtype=torch.float32, device=logits.device)
    left, top, right, bottom = (logits.softmax(dim=1) * bins.view(1, -1, 1)).sum(dim=1) * stride
    rows = (torch.arange(height, device=logits.device) + 0.5) * stride
    columns = (torch.arange(width, device=logits.device) + 0.5) * stride
    y, x = (axis.flatten() for axis in torch.meshgrid(rows, columns, indexing="ij"))
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


class NanoDetProposer:
    """A `Proposer`, and a `FeatureProposer` on the maps of `NanoDet`: the network need not run twice.

    Score and label are those of the best COCO class; boxes are clipped to the image.
    candidates: how many best cells enter the selection, so that suppression stays quick.
    """

    def __init__(
        self, encoder: NanoDet, selection: Selection = DEFAULT_SELECTION, candidates: int = 1000
    ) -> None:
        self.encoder = encoder
        self.selection = selection
        self.candidates = candidates

    @property
    def key(self) -> str:
        """Tells apart weights and thresholds in a cache."""
        return f"nanodet {fingerprint(self.encoder)} {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each RGB image, best first, in its own pixels."""
        with torch.inference_mode():
            return self.propose_from(self.encoder(images))

    def propose_from(self, features: Sequence[FeatureMaps]) -> list[Regions]:
        """As `propose`, from maps that `encoder` already made."""
        return [self.selection(self._candidates(maps)) for maps in features]

    def _candidates(self, features: FeatureMaps) -> Regions:
        """The best cells' boxes before selection."""
        probabilities = torch.cat([m.flatten(1) for m in features.maps[NanoDet.CLASSES]], dim=1).float()
        levels = zip(features.maps[NanoDet.BOXES], features.strides[NanoDet.BOXES], strict=True)
        boxes = torch.cat([decoded(m.detach(), stride) for m, stride in levels])
        scores, classes = probabilities.detach().max(dim=0)
        scores, best = scores.topk(min(self.candidates, len(scores)))
        boxes = boxes[best] / torch.tensor(features.frame.scale * 2, device=boxes.device)
        image_size = features.frame.image_size
        labels = tuple(names.coco()[i] for i in classes[best].tolist())
        return Regions(clip(boxes.cpu().numpy(), image_size), scores.cpu().numpy(), image_size, labels)

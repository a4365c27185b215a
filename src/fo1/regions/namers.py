"""Namers: what an encoder's own classifier makes of a region, as class probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fo1.encoders.feature_maps import FeatureMaps
from fo1.encoders.nanodet import NanoDet
from fo1.proposals.nanodet import decoded


class Namer(nn.Module):
    """Base of all namers. `classes` is how many names it knows."""

    classes: int

    def forward(self, features: FeatureMaps, boxes: Tensor, pooled: Tensor) -> Tensor:
        """boxes: (N, 4) input pixels; pooled: (N, C) what the branch made of them. Returns (N, classes)."""
        raise NotImplementedError


class ClassifierNamer(Namer):
    """An image classifier's head on the pooled feature: averaging and the linear head commute with the box.

    classifier: (.., width) → logits. Its input is the last `width` numbers of the pooled feature.
    """

    def __init__(self, classifier: nn.Linear) -> None:
        super().__init__()
        self.classes, self.width = classifier.out_features, classifier.in_features
        self._classifier = [classifier]  # listed, so that the encoder stays the only owner of its weights

    def forward(self, features: FeatureMaps, boxes: Tensor, pooled: Tensor) -> Tensor:
        (classifier,) = self._classifier
        logits = classifier(pooled[:, -self.width :].to(classifier.weight.dtype))
        return logits.float().softmax(dim=1)


class DetectorNamer(Namer):
    """The detector's cells vote on a box: the best of IoU² × class probability over the boxes they predict.

    So a box given by hand is named just as one the detector proposed.
    cells: how many of the best cells have a vote.
    """

    classes = NanoDet.CLASS_COUNT

    def __init__(self, cells: int = 400) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: FeatureMaps, boxes: Tensor, pooled: Tensor) -> Tensor:
        probabilities = torch.cat([m.flatten(1) for m in features.maps[NanoDet.CLASSES]], dim=1).float()
        levels = zip(features.maps[NanoDet.BOXES], features.strides[NanoDet.BOXES], strict=True)
        predicted = torch.cat([decoded(m, stride) for m, stride in levels])
        best = probabilities.amax(dim=0).topk(min(self.cells, probabilities.shape[1])).indices
        weight = pairwise_iou(boxes.float(), predicted[best]) ** 2  # (N, M)
        votes = boxes.new_zeros(len(boxes), self.classes)
        for row, region in zip(weight, votes, strict=True):
            region.copy_((row * probabilities[:, best]).amax(dim=1))
        return votes


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) and (M, 4), as (N, M)."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).clamp(min=0).prod(dim=-1) for x in (a, b))
    return shared / (area_a[:, None] + area_b[None, :] - shared).clamp(min=1e-6)

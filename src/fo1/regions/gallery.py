"""`Gallery`: what things of known names looked like, to compare a region with.

Features of frozen encoders differ more between two pictures of one thing than a connector learns to overlook
from a few thousand scenes. Linear discriminant analysis (Fisher, 1936; Rao, 1948) says in closed form which
directions those are. In what is left of the space, a region is called by the name of the nearest examples.
(Our own addition; not in the paper.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHARPNESS = 30.0  # of the choice among names, per unit of cosine
FAMILIAR = 0.3  # cosine to the nearest example below which a region is like nothing known


class Gallery(nn.Module):
    """Examples of V names, K of each, in a space of `width` dimensions.

    channels: width of the hybrid region feature, its position aside.
    centre: (channels,). basis: (channels, width), what keeps names apart and pictures of one together.
    examples: (V, K, width) unit vectors; zeros where a name has fewer. `training/smol/gallery.py` fits them.
    """

    centre: Tensor
    basis: Tensor
    examples: Tensor

    def __init__(self, channels: int, names: int, width: int, examples: int) -> None:
        super().__init__()
        self.names, self.width = names, width
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("basis", torch.zeros(channels, width))
        self.register_buffer("examples", torch.zeros(names, examples, width))

    def project(self, features: Tensor) -> Tensor:
        """Hybrid region features (N, channels) as unit vectors (N, width), float32."""
        return F.normalize((features.float() - self.centre) @ self.basis, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """How likely each name is, (N, V); the sum is the less, the less a region is like any example.

        features: (N, channels).
        """
        likeness = self.project(features) @ self.examples.flatten(0, 1).T
        nearest = likeness.unflatten(1, self.examples.shape[:2]).amax(dim=2)
        known = (nearest.amax(dim=1, keepdim=True) - FAMILIAR).clamp(min=0) / (1 - FAMILIAR)
        return (nearest * SHARPNESS).softmax(dim=1) * known

"""The pointer: how well each region fits what the language model is about to name."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RegionPointer(nn.Module):
    """Scores hidden state against region embedding; its sigmoid is the chance that the region belongs to the answer.

    An answer lists regions in ascending order, so naming them is a walk over the regions with a yes or no at
    each. The logit here is that yes or no; the next-token distribution inside `<objects>` follows from it:
    p(next = i) = σ(s_i) · Π_{last < m < i} (1 - σ(s_m)), and closing is Π over all that are left.
    One position therefore scores every region, named or not. (Our own addition; the paper has static rows.)

    width: of the language model. rank: of the bilinear form.
    """

    def __init__(self, width: int, rank: int = 256) -> None:
        super().__init__()
        self.query = nn.Linear(width, rank)
        self.key = nn.Linear(width, rank)
        self.gain = nn.Parameter(torch.tensor(8.0))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def forward(self, hidden: Tensor, regions: Tensor) -> Tensor:
        """hidden: (..., T, D), last hidden states; regions: (..., N, D). Returns logits (..., T, N) float32."""
        dtype = self.query.weight.dtype
        query = F.normalize(self.query(hidden.to(dtype)).float(), dim=-1)
        key = F.normalize(self.key(regions.to(dtype)).float(), dim=-1)
        return (query @ key.transpose(-1, -2)) * self.gain.float() + self.bias.float()

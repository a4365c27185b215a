"""The pointer: how well each region fits what the language model is about to name."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RegionPointer(nn.Module):
    """Scores hidden state against region embedding; the sigmoid is the chance that the answer has the region.

    An answer lists regions in ascending order, so naming them is a walk over the regions with a yes or no at
    each. The logit here is that yes or no; the next-token distribution inside `<objects>` follows from it:
    p(next = i) = σ(s_i) · Π_{last < m < i} (1 - σ(s_m)), and closing is Π over all that are left.
    One position therefore scores every region, named or not. (Our own addition; the paper has static rows.)

    Two things ask: the hidden state, which has read the question, the image and all regions, and the phrase
    being named, as the mean of its word embeddings. The second makes matching words a matter of one matrix,
    which a small model learns from little data and keeps for names it was never trained on; the first is for
    everything else.

    width: of the language model. rank: of the bilinear form.
    """

    def __init__(self, width: int, rank: int = 256) -> None:
        super().__init__()
        self.query = nn.Linear(width, rank)
        self.phrase = nn.Linear(width, rank)
        self.key = nn.Linear(width, rank)
        self.gain = nn.Parameter(torch.tensor(14.0))
        self.bias = nn.Parameter(torch.tensor(-7.0))

    @torch.no_grad()
    def start(self, centre: Tensor) -> None:
        """Begins as plain similarity of phrase and region in word-embedding space; hidden states say nothing.

        centre: (D,) what all word embeddings have in common.
        """
        self.phrase.weight.copy_(self.key.weight)
        self.phrase.bias.copy_(-self.key.weight @ centre)
        self.query.weight.zero_()
        self.query.bias.zero_()

    def forward(self, hidden: Tensor | None, regions: Tensor, phrases: Tensor | None = None) -> Tensor:
        """Logits (..., T, N) float32.

        hidden: (..., T, D) last hidden states, None before the language model is in the loop.
        regions: (..., N, D).
        phrases: (..., T, D) mean word embeddings of what is being named, None in free text.
        One of `hidden` and `phrases` is needed.
        """
        dtype = self.query.weight.dtype
        asking = (self.query, hidden), (self.phrase, phrases)
        asked = [layer(x.to(dtype)) for layer, x in asking if x is not None]
        query = F.normalize(sum(asked[1:], start=asked[0]).float(), dim=-1)
        key = F.normalize(self.key(regions.to(dtype)).float(), dim=-1)
        return (query @ key.transpose(-1, -2)) * self.gain.float() + self.bias.float()

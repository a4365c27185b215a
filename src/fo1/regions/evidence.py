"""Name evidence: what the frozen encoders' own classifiers call a region, said in the language model's words.

The detector knows 80 names, the image classifier 1,000. Each region's class probabilities, times the language
model's word embeddings of those names, go straight into its region token. A region that the detector takes for
an orange thus carries the very vector of the word "orange", for names in and out of the training data alike.
(Our own addition; not in the paper.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NameEvidence(nn.Module):
    """Class probabilities of several classifiers → one vector in word-embedding space.

    words: for each classifier, the embeddings of its class names, (K_c, D). They come from the base language
        model at load time and are not stored.
    """

    def __init__(self, words: Sequence[Tensor]) -> None:
        super().__init__()
        self.sizes = [len(w) for w in words]
        stacked = torch.cat(list(words)).float()
        self.register_buffer("words", stacked - stacked.mean(dim=0), persistent=False)
        self.words: Tensor
        self.gain = nn.Parameter(torch.ones(len(self.sizes)))

    def forward(self, probabilities: Tensor) -> Tensor:
        """probabilities: (N, sum K_c), classifier after classifier. Returns (N, D) float32."""
        parts = probabilities.float().split(self.sizes, dim=1)
        weighted = torch.cat([p * g for p, g in zip(parts, self.gain, strict=True)], dim=1)
        return weighted @ self.words

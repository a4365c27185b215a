"""Name evidence: what the frozen encoders' own classifiers call a region, said in the language model's words.

The detector knows 80 names, the image classifier 1,000. Each region's class probabilities, times the language
model's word embeddings of those names, go straight into its region token. A region that the detector takes
for an orange thus carries the very vector of the word "orange", for names in and out of the training data
alike.
The same probabilities also speak for a region directly when a phrase is close to a class name, or to an
everyday word for the class ("mug" for "coffee mug", "dog" for its 118 breeds).
(Our own addition; not in the paper.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NameEvidence(nn.Module):
    """Class probabilities of several classifiers → a vector in word-embedding space, and support for phrases.

    words: for each classifier, the embeddings of its class names, (K_c, D), the detector's first. They come
        from the base language model at load time and are not stored.
    aliases: (M, D) embeddings of everyday words for classes; alias_of: (M,) which class each is for, counted
        through all classifiers.
    """

    words: Tensor
    names: Tensor
    centre: Tensor
    alias_of: Tensor

    def __init__(self, words: Sequence[Tensor], aliases: Tensor, alias_of: Tensor) -> None:
        super().__init__()
        self.sizes = [len(w) for w in words]
        stacked = torch.cat(list(words)).float()
        centre = stacked.mean(dim=0)
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("words", stacked - centre, persistent=False)
        named = F.normalize(torch.cat([stacked, aliases.float()]) - centre, dim=1)
        self.register_buffer("names", named, persistent=False)
        self.register_buffer("alias_of", alias_of, persistent=False)
        self.gain = nn.Parameter(torch.ones(len(self.sizes)))
        self.support_gain = nn.Parameter(torch.full((len(self.sizes),), 4.0))
        self.objectness = nn.Parameter(torch.tensor(1.0))

    def affinity(self, phrases: Tensor) -> Tensor:
        """How much each class is what a phrase says, (L, sum K_c) in 0 … 1; 1 for its name or everyday words.

        phrases: (L, D) mean word embeddings. Other words count by the cube of their cosine: "cat" is a little
        of every "tiger cat", and next to nothing of a "dog".
        """
        classes = len(self.words)
        likeness = (F.normalize(phrases.float() - self.centre, dim=1) @ self.names.T).clamp(min=0) ** 3
        index = self.alias_of.expand(len(likeness), -1)
        return likeness[:, :classes].scatter_reduce(1, index, likeness[:, classes:], "amax")

    def support(self, phrases: Tensor, probabilities: Tensor) -> Tensor:
        """What the classifiers add to each region's logit for each phrase, (L, N).

        Also, whatever the phrase, how sure the detector is that a region is a thing at all.
        """
        return self.support_of(self.affinity(phrases), probabilities)

    def support_of(self, affinity: Tensor, probabilities: Tensor) -> Tensor:
        """As `support`, for phrases whose affinity (L, sum K_c) is known."""
        weighted = self._weighted(probabilities, self.support_gain)
        thing = probabilities[:, : self.sizes[0]].float().amax(dim=1).clamp(min=0.02).log()
        return affinity @ weighted.T + self.objectness * thing

    def forward(self, probabilities: Tensor) -> Tensor:
        """probabilities: (N, sum K_c), classifier after classifier. Returns (N, D) float32."""
        return self._weighted(probabilities, self.gain) @ self.words

    def _weighted(self, probabilities: Tensor, gain: Tensor) -> Tensor:
        parts = probabilities.float().split(self.sizes, dim=1)
        return torch.cat([part * g for part, g in zip(parts, gain, strict=True)], dim=1)

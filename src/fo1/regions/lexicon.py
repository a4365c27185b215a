"""`Lexicon`: the names a model knows well, which compete for each region.

Asked for "duck", a hen is a little like one; but "hen" fits better, and that counts against "duck". Names too
much like the asked one do not compete with it, so that "coffee cup" does not deny a cup.
(Our own addition; not in the paper.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ALIKE = 0.6  # cosine of mean word embeddings from which two names may mean the same
MOST = 3.0  # logits that rivals may take from a region in all: a name outside the lexicon must stand a chance


class Lexicon(nn.Module):
    """V names as the mean of their word embeddings.

    names: known ones, each once. words: (V, D) their embeddings; they come from the base at load time.
    `affinity` (V, K) is what `NameEvidence.affinity` says of them.
    """

    words: Tensor
    affinity: Tensor
    centre: Tensor

    def __init__(self, names: Sequence[str], words: Tensor, affinity: Tensor) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("words", words.float(), persistent=False)
        self.register_buffer("affinity", affinity.float(), persistent=False)
        self.register_buffer("centre", words.float().mean(dim=0), persistent=False)
        self.rivalry = nn.Parameter(torch.tensor(0.7))

    def alike(self, phrases: Tensor) -> Tensor:
        """(L, V) bool: names that do not compete with a phrase. phrases: (L, D) mean word embeddings."""
        asked = F.normalize(phrases.float() - self.centre, dim=1)
        known = F.normalize(self.words - self.centre, dim=1)
        return asked @ known.T > ALIKE

    def penalty(self, own: Tensor, names: Tensor, phrases: Tensor) -> Tensor:
        """What its best rival takes from each region's logit for each phrase, (L, N), 0 … `MOST`.

        own: (L, N) logits of the phrases, names: (V, N) logits of all names, both without any question read.
        """
        candidates = min(8, len(names))
        best, which = names.topk(candidates, dim=0)  # (k, N): a rival that is not alike is soon found
        competes = ~self.alike(phrases)[:, which]  # (L, k, N)
        lowest = torch.finfo(best.dtype).min
        rival = best.expand_as(competes).masked_fill(~competes, lowest).amax(dim=1)
        return (self.rivalry.clamp(min=0) * (rival - own).clamp(min=0)).clamp(max=MOST)

"""`Lexicon`: the names a model knows well, which compete for each region.

Asked for "duck", a hen is a little like one; but "hen" fits better, and that counts against "duck". Names too
much like the asked one do not compete with it, so that "coffee cup" does not deny a cup.
Names that are asked for together compete, too: a region that is a "hen" rather is less of a "duck".
(Our own addition; not in the paper.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ALIKE = 0.6  # cosine of mean word embeddings from which two names may mean the same
MOST = 3.0  # logits that rivals may take from a region: a name outside the lexicon must stand a chance
CONTEST = 0.6  # share of its lead that a rival takes which is asked for as well; on photos and scenes alike


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

    def alike(self, phrases: Tensor, others: Tensor | None = None) -> Tensor:
        """(L, V) bool: which names, or which others, do not compete with a phrase.

        phrases: (L, D) mean word embeddings, as others: (V, D).
        """
        return self._cosines(phrases, self.words if others is None else others) > ALIKE

    def _cosines(self, phrases: Tensor, others: Tensor) -> Tensor:
        """(L, V), of what they do not have in common with all words."""
        asked, known = (F.normalize(words.float() - self.centre, dim=1) for words in (phrases, others))
        return asked @ known.T

    def penalty(self, own: Tensor, names: Tensor, phrases: Tensor) -> Tensor:
        """What its best rival takes from each region's logit for each phrase, (L, N), 0 … `MOST`.

        own: (L, N) logits of the phrases, names: (V, N) logits of all names, both without any question read.
        """
        lead = _lead(own, names, self.alike(phrases))
        return (self.rivalry.clamp(min=0) * lead).clamp(max=MOST)

    def contest(self, logits: Tensor, phrases: Tensor) -> Tensor:
        """What the phrases take from each other, (L, N), 0 … `MOST`. logits: (L, N), as final as can be."""
        return (CONTEST * _lead(logits, logits, self.alike(phrases, phrases))).clamp(max=MOST)


def _lead(own: Tensor, others: Tensor, alike: Tensor) -> Tensor:
    """How far the best rival is ahead, (L, N), 0 if it is not. others: (V, N). alike: (L, V), no rivals."""
    best, which = others.topk(min(8, len(others)), dim=0)  # (k, N): one that is not alike is soon found
    rivals = best.expand(len(own), -1, -1).masked_fill(alike[:, which], torch.finfo(best.dtype).min)
    return (rivals.amax(dim=1) - own).clamp(min=0)

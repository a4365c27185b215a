"""`phrase_means`: what a base's own words say of a phrase."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.prompts.builder import PromptBuilder
from fo1.vlm.base import Base


def phrase_means(base: Base, prompts: PromptBuilder, phrases: Sequence[str]) -> Tensor:
    """Mean of the base's own word embeddings of each phrase, (L, D) float32, without gradients."""
    table = base.get_input_embeddings().get_parameter("weight")
    ids = prompts.phrases(phrases)
    starts = torch.tensor([0, *accumulate(map(len, ids))][:-1], dtype=torch.long, device=table.device)
    words = table.detach()[[token for one in ids for token in one]].float()
    return F.embedding_bag(torch.arange(len(words), device=table.device), words, starts, mode="mean")

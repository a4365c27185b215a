"""`phrase_means`: what a base's own words say of a phrase."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from fo1.prompts.builder import PromptBuilder


def phrase_means(base: PreTrainedModel, prompts: PromptBuilder, phrases: Sequence[str]) -> Tensor:
    """Mean of the base's own word embeddings of each phrase, (L, D) float32, without gradients."""
    table = base.get_input_embeddings().get_parameter("weight")
    ids = [torch.tensor(one) for one in prompts.phrases(phrases)]
    return torch.stack([table[i].float().mean(dim=0) for i in ids]).detach()

"""What training minimises: one yes or no per region and label, and the words of text answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.training.questions import Sample


@dataclass(frozen=True)
class Losses:
    """regions: summed over a label's regions, mean over labels. words: mean over answer tokens."""

    regions: Tensor
    words: Tensor

    @property
    def total(self) -> Tensor:
        return self.regions + 0.5 * self.words


def batch_losses(model: RegionModel, samples: Sequence[Sample]) -> Losses:
    """Losses of a batch of samples; the region encoder runs on their cached features."""
    if model.splice.pointer is None:
        raise ValueError("training records need a dynamic region vocabulary")
    embedded = [model.encoder.embed(sample.features.float()) for sample in samples]
    regions, images = [e[:-1] for e in embedded], [e[-1:] for e in embedded]
    hidden = model.hidden_states([sample.tree for sample in samples], regions, images)
    picks: list[Tensor] = []
    words: list[Tensor] = []
    following: list[int] = []
    for states, sample, seen in zip(hidden, samples, regions, strict=True):
        if sample.picks:
            positions, phrases, targets = zip(*sample.picks, strict=True)
            evidence = sample.features.evidence[:-1].float()
            words_of = model.phrase_embeddings(phrases)
            logits = model.region_logits(states[list(positions)], seen, evidence, words_of)
            loss = F.binary_cross_entropy_with_logits(logits, torch.stack(targets), reduction="none")
            picks.append(loss.sum(dim=1))
        if sample.words:
            positions, ids = zip(*sample.words, strict=True)
            words.append(states[list(positions)])
            following += ids
    zero = hidden.new_zeros((), dtype=torch.float32)
    region_loss = torch.cat(picks).mean() if picks else zero
    if not words:
        return Losses(region_loss, zero)
    logits = F.linear(torch.cat(words), model.base.get_output_embeddings().weight).float()
    return Losses(region_loss, F.cross_entropy(logits, torch.tensor(following)))

"""What training minimises: the words of answers, a yes or no per region where regions are scored, and how far
the base drifts from itself in plain text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.checkpoints import low_rank
from fo1.data.exercise import Exercise, Pick
from fo1.forest import read_trees
from fo1.model import Encoded, RegionModel


class Prepared(ABC):
    """One image with exercises about it, as far as frozen parts decide."""

    exercises: tuple[Exercise, ...]

    @abstractmethod
    def encode(self, model: RegionModel) -> Encoded:
        """Through what is trained of the region encoder."""

    @property
    def words(self) -> int:
        """Answer tokens to learn."""
        return sum(len(one.words) for one in self.exercises)

    @property
    def picks(self) -> int:
        """Labels whose regions are scored."""
        return sum(len(one.picks) for one in self.exercises)

    @property
    def kept(self) -> int:
        """Words that the base is to find as likely as before."""
        return sum(len(one.kept) for one in self.exercises)

    @property
    def answers(self) -> int:
        """Branches that something is learnt from."""
        return sum(sum(one.tree.answers) for one in self.exercises)


@dataclass(frozen=True)
class Losses:
    """Sums, float32 scalars. words: cross-entropy over answer tokens. regions: over labels, of binary
    cross-entropy summed over the regions of each. drift: over kept words, of the divergence (KL) from the
    base without its low-rank factors."""

    words: Tensor
    regions: Tensor
    drift: Tensor


def batch_losses(model: RegionModel, batch: Sequence[Prepared]) -> Losses:
    """One forward pass over all exercises of some images, each encoded once. Who calls holds `model.lock`."""
    encoded = [one.encode(model) for one in batch]
    exercises = [exercise for one in batch for exercise in one.exercises]
    shown = [seen for one, seen in zip(batch, encoded, strict=True) for _ in one.exercises]
    trees, places = [one.tree for one in exercises], [one.places for one in exercises]
    words, regions, drift = [], [], []
    outputs = read_trees(model, trees, shown, places)
    before = iter(_before(model, exercises, shown))
    for exercise, seen, output in zip(exercises, shown, outputs, strict=True):
        split, end = len(exercise.picks), len(exercise.picks) + len(exercise.words)
        if exercise.picks:
            regions.append(_region_loss(model, output.states[:split], seen, exercise.picks))
        if exercise.words:
            following = [word.token for word in exercise.words]
            words.append(_word_loss(model, output.logits[split:end], following))
        if exercise.kept:
            drift.append(_drift(model, output.logits[end:], next(before)))
    return Losses(_sum(model, words), _sum(model, regions), _sum(model, drift))


@torch.no_grad()
def _before(model: RegionModel, exercises: Sequence[Exercise], shown: Sequence[Encoded]) -> list[Tensor]:
    """What the base says without its low-rank factors: for each exercise that keeps words, (K, V) logits."""
    keeping = [number for number, one in enumerate(exercises) if one.kept]
    if not keeping:
        return []
    trees, places = [exercises[i].tree for i in keeping], [exercises[i].kept for i in keeping]
    with low_rank.without(model.base):
        outputs = read_trees(model, trees, [shown[i] for i in keeping], places)
    return [output.logits for output in outputs]


def _drift(model: RegionModel, logits: Tensor, before: Tensor) -> Tensor:
    """Over the base's own words; those that were added are no part of plain text."""
    now, then = (one[:, : model.splice.first_own].float().log_softmax(dim=1) for one in (logits, before))
    return F.kl_div(now, then, reduction="sum", log_target=True)


def _sum(model: RegionModel, losses: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum() if losses else torch.zeros((), device=model.device)


def _word_loss(model: RegionModel, logits: Tensor, following: Sequence[int]) -> Tensor:
    logits, wanted = logits.float(), torch.tensor(following, device=logits.device)
    if model.splice.pointer is not None:
        # The pointer begins with a query of length zero, through whose direction no gradient may go.
        vocabulary = model.prompts.vocabulary
        first, after = vocabulary.first_region, vocabulary.first_region + vocabulary.capacity
        logits = torch.cat([logits[:, :first], logits[:, after:]], dim=1)
        wanted = torch.where(wanted >= after, wanted - vocabulary.capacity, wanted)
    return F.cross_entropy(logits, wanted, reduction="sum")


def _region_loss(model: RegionModel, states: Tensor, seen: Encoded, picks: Sequence[Pick]) -> Tensor:
    """states: (L, D) where the regions of each pick are named."""
    phrases = model.phrase_embeddings([pick.phrase for pick in picks])
    logits = model.region_logits(states, seen.embeddings, seen.evidence, phrases)
    target = torch.stack([pick.target for pick in picks]).to(logits.device)
    learnt = ~target.isnan()
    each = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(), reduction="none")
    return (each * learnt).sum()

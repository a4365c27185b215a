"""Stage 0, our own addition: connector and pointer learn to match regions with words, before any answers.

The language model is not in the loop, only its word embeddings: every region of a scene meets every name that
training knows, a million pairs a second.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.regions.encoder import RegionFeatures
from fo1.training.smol.labels import LabelTable, Truth
from fo1.training.smol.questions import QuestionMaker
from fo1.training.smol.records import SceneRecord
from fo1.training.stage import Stage, optimizer_groups, parameter_groups

logger = logging.getLogger(__name__)

ABSENT = 12  # what all absent labels of a scene weigh together, in present ones


def matching_loss(logits: Tensor, truth: Truth) -> Tensor:
    """Yes or no for each region and label: summed over regions, mean over labels. logits: (V, N)."""
    each = F.binary_cross_entropy_with_logits(logits, truth.target.T, reduction="none").sum(dim=1)
    present, absent = each[truth.present], each[truth.absent]
    return (present.sum() + ABSENT * absent.mean()) / (len(present) + ABSENT)


def naming_loss(logits: Tensor, truth: Truth) -> Tensor:
    """Which of all names is the region's? Mean over regions that show one thing. logits: (V, N)."""
    rows = truth.name >= 0
    if not rows.any():
        return logits.new_zeros(())
    competing = logits.T[rows].masked_fill(~truth.alike[rows], torch.finfo(logits.dtype).min)
    return F.cross_entropy(competing, truth.name[rows])


def align(
    model: RegionModel,
    questions: QuestionMaker,
    records: Sequence[SceneRecord],
    stage: Stage,
    seed: int = 0,
) -> None:
    """Runs the stage: each step, `stage.batch` scenes against all names and their wider words."""
    wider = (word for name in questions.names for word in questions.thesaurus.wider(name))
    rivals = () if model.lexicon is None else model.lexicon.names
    table = LabelTable(sorted({*questions.names, *wider, *rivals}), questions.thesaurus)
    phrases = model.phrase_embeddings(table.labels)
    known = [] if model.lexicon is None else table.numbers(model.lexicon.names)
    groups = parameter_groups(model, stage)
    optimizer = torch.optim.AdamW(optimizer_groups(groups, stage, dict(model.named_parameters())))
    model.encoder.train()
    recent: list[tuple[float, float]] = []
    rng = np.random.default_rng((seed, 0))
    for step in range(stage.steps):
        chosen = [questions.subset(records[i], rng) for i in rng.integers(len(records), size=stage.batch)]
        features = RegionFeatures.stack([record.features for record in chosen]).float()
        logits = model.own_logits(None, model.encoder.embed(features), features.said, phrases)
        taken = torch.zeros_like(logits)
        if model.lexicon is not None:
            taken = model.lexicon.penalty(logits, logits[known], phrases)
        matching, naming = [], []
        columns = np.cumsum([0, *(record.count + 1 for record in chosen)])
        for record, first, after in zip(chosen, columns, columns[1:], strict=False):
            truth, scene = table.truth(record), logits[:, first : after - 1]
            matching.append(matching_loss(scene - taken[:, first : after - 1], truth))
            naming.append(naming_loss(scene, truth))
        losses = torch.stack(matching).mean(), torch.stack(naming).mean()
        sum(losses).backward()  # type: ignore[union-attr]
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * stage.schedule(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append((losses[0].item(), losses[1].item()))
        if (step + 1) % 100 == 0:
            means = np.mean(recent, axis=0)
            logger.info("%s %5d/%d  regions %.3f  names %.3f", stage.name, step + 1, stage.steps, *means)
            recent.clear()
    model.encoder.eval()

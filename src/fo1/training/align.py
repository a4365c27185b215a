"""Stage 0, our own addition: connector and pointer learn to match regions with words, before any answers.

The language model is not in the loop, only its word embeddings: thousands of labels a second.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.regions.encoder import RegionFeatures
from fo1.training.questions import QuestionMaker
from fo1.training.records import SceneRecord
from fo1.training.trainer import StageConfig, parameter_groups, schedule

logger = logging.getLogger(__name__)


def align(
    model: RegionModel,
    questions: QuestionMaker,
    records: Sequence[SceneRecord],
    stage: StageConfig,
    labels: int = 48,
    seed: int = 0,
) -> None:
    """Runs the stage: each step, `stage.batch` scenes against their own names and others, `labels` in all."""
    names = sorted({*questions.names, *(w for n in questions.names for w in questions.thesaurus.wider(n))})
    states = model.phrase_embeddings(names)
    number = {name: i for i, name in enumerate(names)}
    optimizer = torch.optim.AdamW(parameter_groups(model, stage), weight_decay=stage.weight_decay)
    model.encoder.train()
    recent: list[float] = []
    rng = np.random.default_rng((seed, 0))
    for step in range(stage.steps):
        chosen = [questions.subset(records[i], rng) for i in rng.integers(len(records), size=stage.batch)]
        embedded = model.encoder.embed(RegionFeatures.stack([record.features for record in chosen]).float())
        losses = []
        for record, regions in zip(chosen, embedded.split([len(r.features) for r in chosen]), strict=True):
            asked, targets = questions.labels_and_targets(record, names, labels, rng)
            phrases = states[[number[name] for name in asked]]
            logits = model.region_logits(None, regions[:-1], record.features.evidence[:-1].float(), phrases)
            losses.append(F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1).mean())
        loss = torch.stack(losses).mean()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * schedule(step, stage)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            logger.info(
                "%s %5d/%d  regions %.3f", stage.name, step + 1, stage.steps, sum(recent) / len(recent)
            )
            recent.clear()
    model.encoder.eval()

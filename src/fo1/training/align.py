"""Stage 0, our own addition: pointer and connector learn to match regions with names, before any answers.

The frozen language model is asked about each name once, over an image without regions; its hidden state there
is the query. What is left is a matching problem without the language model in the loop: thousands of labels a
second.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.prompts.tasks import TASKS
from fo1.prompts.tree import PromptTree
from fo1.regions.encoder import RegionFeatures
from fo1.training.questions import QuestionMaker
from fo1.training.records import SceneRecord
from fo1.training.trainer import StageConfig, parameter_groups, schedule

logger = logging.getLogger(__name__)


@torch.no_grad()
def name_states(model: RegionModel, names: Sequence[str], batch: int = 32) -> Tensor:
    """The language model's hidden state where it would answer about each name, (len(names), D) float32."""
    states = []
    blank = torch.zeros(1, model.base.config.hidden_size)
    for start in range(0, len(names), batch):
        trees, chosen = [], names[start : start + batch]
        for name in chosen:
            tree = PromptTree()
            root = tree.add(model.prompts.prefix(1, 0))
            question = tree.add(model.prompts.question(TASKS["detect"].fill(name), 0), root)
            tree.add(model.prompts.naming(name, 0), question)
            trees.append(tree)
        hidden = model.hidden_states(trees, [blank[:0]] * len(trees), [blank] * len(trees))
        states += [row[len(tree) - 1].float() for row, tree in zip(hidden, trees, strict=True)]
    return torch.stack(states)


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
    states = name_states(model, names)
    number = {name: i for i, name in enumerate(names)}
    optimizer = torch.optim.AdamW(parameter_groups(model, stage), weight_decay=stage.weight_decay)
    pointer = model.splice.pointer
    if pointer is None:
        raise ValueError("alignment needs a pointer")
    model.encoder.train()
    recent: list[float] = []
    rng = np.random.default_rng((seed, 0))
    for step in range(stage.steps):
        chosen = [questions.subset(records[i], rng) for i in rng.integers(len(records), size=stage.batch)]
        embedded = model.encoder.embed(RegionFeatures.stack([record.features for record in chosen]).float())
        losses = []
        for record, regions in zip(chosen, embedded.split([len(r.features) for r in chosen]), strict=True):
            asked, targets = questions.labels_and_targets(record, names, labels, rng)
            logits = pointer(states[[number[name] for name in asked]], regions[:-1])
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

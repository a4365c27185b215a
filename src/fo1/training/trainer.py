"""The trainer both stages share: records in, losses down, checkpoints that a killed run resumes from."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fo1.model import RegionModel
from fo1.training.losses import batch_losses
from fo1.training.questions import QuestionMaker
from fo1.training.records import SceneRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageConfig:
    """One stage. rates: learning rate per pattern of parameter names; what no pattern names stays frozen.

    All values are our choice; the paper gives none.
    """

    name: str
    steps: int
    rates: Mapping[str, float]
    batch: int = 4
    warmup: int = 20
    weight_decay: float = 0.01
    clip: float = 1.0
    save_every: int = 100


def parameter_groups(model: nn.Module, stage: StageConfig) -> list[dict[str, object]]:
    """Optimiser groups by pattern; everything else is frozen. Raises if a pattern names nothing."""
    model.requires_grad_(False)
    groups: list[dict[str, object]] = []
    for pattern, rate in stage.rates.items():
        named = [p for name, p in model.named_parameters() if fnmatchcase(name, pattern)]
        if not named:
            raise ValueError(f"stage {stage.name}: no parameter is called {pattern!r}")
        for parameter in named:
            parameter.requires_grad_(True)
        logger.info(
            "%s: %-24s %9d parameters, lr %g", stage.name, pattern, sum(p.numel() for p in named), rate
        )
        groups.append({"params": named, "lr": rate, "initial_lr": rate})
    return groups


def schedule(step: int, stage: StageConfig) -> float:
    """Linear warm-up, then half a cosine down to 2 %."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    done = (step - stage.warmup) / max(stage.steps - stage.warmup, 1)
    return 0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2


class Trainer:
    """Runs one stage. Step k sees the same scenes and questions, was the run interrupted before or not."""

    def __init__(
        self,
        model: RegionModel,
        questions: QuestionMaker,
        records: Sequence[SceneRecord],
        stage: StageConfig,
        folder: Path,
        seed: int = 0,
    ) -> None:
        self.model, self.questions, self.records, self.stage = model, questions, records, stage
        self.seed = seed
        self.path = folder / f"{stage.name}.pt"
        folder.mkdir(parents=True, exist_ok=True)
        self.optimizer = torch.optim.AdamW(parameter_groups(model, stage), weight_decay=stage.weight_decay)
        self.step = 0
        if self.path.exists():
            self._resume()

    def trained(self) -> dict[str, Tensor]:
        """The parameters this stage trains, by name."""
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def save(self) -> None:
        """Writes the checkpoint whole or not at all."""
        partial = self.path.with_suffix(".partial")
        torch.save(
            {"step": self.step, "weights": self.trained(), "optimizer": self.optimizer.state_dict()}, partial
        )
        partial.rename(self.path)

    def _resume(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["weights"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        logger.info("%s: resumed at step %d", self.stage.name, self.step)

    def batch(self, step: int) -> list[SceneRecord]:
        """The scenes of a step: every epoch is one shuffle of all of them."""
        size, total = self.stage.batch, len(self.records)
        chosen = []
        for position in range(step * size, (step + 1) * size):
            epoch, within = divmod(position, total)
            order = np.random.default_rng((self.seed, 1, epoch)).permutation(total)
            chosen.append(self.records[order[within]])
        return chosen

    def run(self) -> None:
        """Trains to the stage's last step, saving on the way and when interrupted."""
        self.model.encoder.train()
        try:
            while self.step < self.stage.steps:
                self._advance()
        finally:
            self.save()
            self.model.encoder.eval()

    def _advance(self) -> None:
        started = time.monotonic()
        torch.manual_seed((self.seed << 32) + self.step)
        rng = np.random.default_rng((self.seed, 2, self.step))
        samples = [self.questions(record, rng) for record in self.batch(self.step)]
        losses = batch_losses(self.model, samples)
        losses.total.backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, self.stage.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * schedule(self.step, self.stage)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % 10 == 0:
            logger.info(
                "%s %5d/%d  regions %.3f  words %.3f  norm %.2f  labels %d  tokens %d  %.2f s",
                self.stage.name,
                self.step,
                self.stage.steps,
                losses.regions.item(),
                losses.words.item(),
                norm.item(),
                sum(len(s.picks) for s in samples),
                max(len(s.tree) for s in samples),
                time.monotonic() - started,
            )
        if self.step % self.stage.save_every == 0:
            self.save()

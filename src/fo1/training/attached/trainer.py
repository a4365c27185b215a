"""`Trainer`: runs one stage on an attached model. Plain torch; see docs/training.md for why."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fo1.data.packing import Packer
from fo1.errors import Fo1Error
from fo1.model import RegionModel
from fo1.training.attached.lessons import Lessons
from fo1.training.attached.losses import Prepared, batch_losses, prepare
from fo1.training.attached.stage import Stage, optimizer_groups, parameter_groups, table
from fo1.training.attached.stopping import stop_requests
from fo1.training.trainer import schedule

Check = Callable[[], Mapping[str, float]]

_log = logging.getLogger(__name__)


class TrainingError(Fo1Error):
    """A run that cannot go on."""


@dataclass(frozen=True)
class Progress:
    """One step. words, regions: mean losses. norm: of the gradient, before clipping. images, answers, words:
    how many were learnt from; seconds: how long it took."""

    step: int
    words: float
    regions: float
    norm: float
    images: int
    answers: int
    seconds: float


class Trainer:
    """Runs one stage. A run that was interrupted goes on as if it had not been.

    folder: where the checkpoint `<stage>.pt` is written, and read if it is there.
    check: measures the model every `stage.check_every` steps and at the end.
    history: the steps of this process.
    Raises `TrainingError` for a checkpoint that does not fit the stage.
    """

    def __init__(
        self,
        model: RegionModel,
        lessons: Lessons,
        stage: Stage,
        folder: Path,
        seed: int = 0,
        check: Check | None = None,
    ) -> None:
        self.model, self.lessons, self.stage, self.seed, self.check = model, lessons, stage, seed, check
        self.path = folder / f"{stage.name}.pt"
        folder.mkdir(parents=True, exist_ok=True)
        groups = parameter_groups(model, stage)
        _log.info("%s", table(model, stage, groups))
        self.trained = {name: p for group in groups for name, p in group.named.items()}
        self.optimizer = torch.optim.AdamW(optimizer_groups(groups, stage))
        self.packer = Packer(model.prompts, stage.limit)
        self.step = 0
        self.history: list[Progress] = []
        if self.path.exists():
            self._resume()

    def save(self) -> None:
        """Writes the checkpoint whole or not at all."""
        state = {
            "step": self.step,
            "weights": {name: p.detach() for name, p in self.trained.items()},
            "optimizer": self.optimizer.state_dict(),
            "lessons": self.lessons.state_dict(),
        }
        partial = self.path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.path)

    def run(self, until: int | None = None) -> bool:
        """Trains to the stage's last step, or to `until`. False if Ctrl-C or SIGTERM ended it before that.

        Either way what was done is saved. Raises `TrainingError` if the loss is no number any more; then the
        last checkpoint stays.
        """
        last = self.stage.steps if until is None else min(until, self.stage.steps)
        if self.step >= last:
            return True
        self._mode(True)
        try:
            with stop_requests() as request:
                while self.step < last and request.signal is None:
                    self._advance()
                    if self.step % self.stage.save_every == 0:
                        self.save()
                    self._measure()
                self.save()
        finally:
            self._mode(False)
        if self.step < last:
            _log.warning("%s: stopped at step %d, saved to %s", self.stage.name, self.step, self.path)
        return self.step >= last

    def _mode(self, training: bool) -> None:
        # What is frozen stays in eval mode: its norms and dropout are not to change.
        self.model.encoder.train(training)

    def _resume(self) -> None:
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
            weights: dict[str, Tensor] = state["weights"]
            if set(weights) != set(self.trained):
                raise TrainingError(
                    f"{self.path} is of a stage that trains other parameters; use another folder or name"
                )
            with torch.no_grad():
                for name, value in weights.items():
                    self.trained[name].copy_(value)
            self.optimizer.load_state_dict(state["optimizer"])
            self.lessons.load_state_dict(state["lessons"])
            self.step = int(state["step"])
        except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{self.path} does not load ({error}); delete it to start anew") from error
        _log.info("%s: resumed at step %d", self.stage.name, self.step)

    def _advance(self) -> None:
        started = time.monotonic()
        torch.manual_seed((self.seed << 32) + self.step)
        stage = self.stage
        with self.model.lock:
            taken = self.lessons.take(stage.batch * stage.accumulate)
            with self._precision():
                prepared = prepare(self.model, taken, self.packer)
            words, regions = self._backward(prepared)
        norm = float(nn.utils.clip_grad_norm_(self.trained.values(), stage.clip))
        if not torch.isfinite(torch.tensor([words, regions, norm])).all():
            raise TrainingError(
                f"{stage.name}, step {self.step}: loss {words:g} + {regions:g}, gradient {norm:g}; lower the "
                f"rates and run again, from the last checkpoint"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * schedule(self.step, stage)
        if prepared:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        answers = sum(len(one.rows) for one in prepared)
        seconds = time.monotonic() - started
        self.history.append(Progress(self.step, words, regions, norm, len(prepared), answers, seconds))
        if self.step % stage.log_every == 0:
            self._tell()

    def _backward(self, prepared: list[Prepared]) -> tuple[float, float]:
        """Adds up gradients over the batches of a step; returns both mean losses.

        Means are over the whole step, so that it is the same however it is split into batches.
        """
        words = max(sum(one.words for one in prepared), 1)
        labels = max(sum(one.labels for one in prepared), 1)
        total = [0.0, 0.0]
        for start in range(0, len(prepared), self.stage.batch):
            with self._precision():
                losses = batch_losses(self.model, prepared[start : start + self.stage.batch])
            (losses.words / words + losses.regions / labels).backward()
            total[0] += losses.words.item() / words
            total[1] += losses.regions.item() / labels
        return total[0], total[1]

    def _precision(self) -> Any:
        low = self.stage.precision == "bfloat16"
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=low)

    def _tell(self) -> None:
        recent = self.history[-self.stage.log_every :]
        seconds = sum(one.seconds for one in recent)
        mean = {name: sum(getattr(one, name) for one in recent) / len(recent) for name in _MEANS}
        _log.info(
            "%s %d/%d  words %.3f  regions %.3f  norm %.2f  "
            "%.1f images/s  %.1f answers/s  %.0f s to go  skipped %d",
            self.stage.name,
            self.step,
            self.stage.steps,
            *mean.values(),
            sum(one.images for one in recent) / seconds,
            sum(one.answers for one in recent) / seconds,
            (self.stage.steps - self.step) * seconds / len(recent),
            self.lessons.skipped,
        )

    def _measure(self) -> None:
        every = self.stage.check_every
        if self.check is None or not every or (self.step % every and self.step < self.stage.steps):
            return
        self._mode(False)
        with self._precision():
            figures = self.check()
        self._mode(True)
        shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        _log.info("%s %d: %s", self.stage.name, self.step, shown)


_MEANS = ("words", "regions", "norm")

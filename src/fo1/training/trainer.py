"""`Trainer`: runs one stage of any course on any model, in one process or in a team."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from fo1.data.settings import SettingError
from fo1.model import RegionModel
from fo1.stopping import stop_requests
from fo1.training.ahead import Ahead
from fo1.training.average import MovingAverage
from fo1.training.checkpoint import Checkpoint, TrainingError
from fo1.training.course import Course
from fo1.training.losses import Prepared
from fo1.training.stage import Stage, optimizer_groups, parameter_groups, table
from fo1.training.team import Learner, Team

Check = Callable[[], Mapping[str, float]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """One step, of the whole team. words, regions, drift: mean losses. norm: of the gradient, unclipped.
    images, answers: how many were learnt from. seconds: how long it took; waited: of them, for images."""

    step: int
    words: float
    regions: float
    norm: float
    images: int
    answers: int
    seconds: float
    waited: float
    drift: float = 0.0


Watcher = Callable[[Progress], None]
Measured = Callable[[int, Mapping[str, float]], None]


class Trainer:
    """Runs one stage. A run that was interrupted goes on as if it had not been.

    folder: where the checkpoint `<stage>.pt` is written, and read if it is there.
    check: measures the model every `stage.check_every` steps and at the end; `measured` hears of it.
    watch: hears of every step. history: the steps of this process.
    Raises `TrainingError` for a checkpoint that does not fit the stage.
    """

    def __init__(
        self,
        model: RegionModel,
        course: Course[Any],
        stage: Stage,
        folder: Path,
        seed: int = 0,
        check: Check | None = None,
        team: Team | None = None,
        watch: Sequence[Watcher] = (),
        measured: Sequence[Measured] = (),
    ) -> None:
        self.model, self.course, self.stage, self.seed, self.check = model, course, stage, seed, check
        self.team, self.watch, self.measured = team or Team(), tuple(watch), tuple(measured)
        folder.mkdir(parents=True, exist_ok=True)
        groups = parameter_groups(model, stage)
        if self.team.leads:
            _log.info("%s", table(model, stage, groups))
        self.learner = Learner(model)
        self.team.shard(self.learner)  # which puts other parameters in the place of those of `groups`
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        # One parameter at a time, since some of a sharded team's are whole.
        foreach = False if self.team.sharded else None
        self.optimizer = torch.optim.AdamW(optimizer_groups(groups, stage, self.trained), foreach=foreach)
        self.average = MovingAverage(self.trained, stage.average) if stage.average else None
        self.step = 0
        self.history: list[Progress] = []
        self._spare: Prepared | None = None
        self.path = folder / f"{stage.name}.pt"
        self._checkpoint = Checkpoint(
            self.path, self.team, self.learner, self.trained, self.optimizer, self.average
        )
        if self.path.exists():
            self.step, place = self._checkpoint.load()
            course.load_state_dict(place)
            _log.info("%s: resumed at step %d", stage.name, self.step)

    def save(self, place: Mapping[str, Any] | None = None) -> None:
        """Writes the checkpoint whole or not at all. place: in the course; None for where it stands."""
        self._checkpoint.save(self.step, self.course.state_dict() if place is None else place)

    def run(self, until: int | None = None) -> bool:
        """Trains to the stage's last step, or to `until`. False if Ctrl-C or SIGTERM ended it before that.

        Either way what was done is saved. Raises `TrainingError` if the loss is no number any more; then the
        last checkpoint stays.
        """
        last = self.stage.steps if until is None else min(until, self.stage.steps)
        if self.step >= last:
            return True
        ahead = Ahead(self.course, self.stage.batch * self.stage.accumulate)
        try:
            with stop_requests() as request, self._training():
                stop = False
                while self.step < last and not stop:
                    self._advance(ahead)
                    self._measure()
                    stop = bool(self.team.most(request.signal or 0))
                    if self.step % self.stage.save_every == 0 or self.step == last or stop:
                        self.save(ahead.state_dict())
        finally:
            ahead.close()
        # What was read ahead is read again by who goes on.
        self.course.load_state_dict(ahead.state_dict())
        if self.step < last:
            _log.warning("%s: stopped at step %d, saved to %s", self.stage.name, self.step, self.path)
        return self.step >= last

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Within this context the model has the moving average of its weights, if the stage keeps one."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    @contextlib.contextmanager
    def _training(self) -> Iterator[None]:
        """What is frozen stays in eval mode: its norms and dropout are not to change."""
        base = self.model.base
        layers = [m for m in base.get_decoder().modules() if isinstance(m, GradientCheckpointingLayer)]
        if self.stage.recompute:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        try:
            self.model.encoder.train()
            for layer in layers if self.stage.recompute else ():
                layer.training = True  # of the layer alone, which then recomputes; not of its dropout
            yield
        finally:
            self.model.encoder.eval()
            for layer in layers:
                layer.training = False
            if self.stage.recompute:
                base.gradient_checkpointing_disable()

    def _advance(self, ahead: Ahead[Any]) -> None:
        started, waited = time.monotonic(), ahead.waited
        torch.manual_seed((self.seed << 32) + self.step * self.team.size + self.team.rank)
        stage = self.stage
        with self.model.lock:
            taken = ahead.take()
            with self._precision():
                prepared = self.course.prepare(taken)
            figures = self._backward(prepared)
        words, regions, drift, images, answers = figures
        self.team.share_gradients(self.trained.values())
        norm = self.team.clip_gradients(self.trained.values(), stage.clip)
        if not torch.isfinite(torch.tensor([words, regions, drift, norm])).all():
            raise TrainingError(
                f"{stage.name}, step {self.step}: losses {words:g}, {regions:g}, {drift:g}, gradient "
                f"{norm:g}; lower the rates and run again, from the last checkpoint"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * stage.schedule(self.step)
        if images:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average is not None:
            self.average.update(self.step)
        seconds = time.monotonic() - started
        done = Progress(
            self.step,
            words,
            regions,
            norm,
            int(images),
            int(answers),
            seconds,
            ahead.waited - waited,
            drift,
        )
        self.history.append(done)
        for watcher in self.watch:
            watcher(done)
        if self.step % stage.log_every == 0 and self.team.leads:
            _tell(stage, self.history[-stage.log_every :], ahead.skipped)

    def _backward(self, prepared: list[Prepared]) -> list[float]:
        """Adds up gradients over the batches of a step; returns the mean losses, images and answers.

        Means are over the whole step of the whole team, so that it is the same however it is split.
        """
        counts = [sum(getattr(one, name) for one in prepared) for name in ("words", "picks", "kept")]
        totals = self.team.total(*counts)
        if self.team.sharded and totals[2]:
            # They take one more pass through the base, in which processes without any do not join.
            raise SettingError("kept words cannot be trained with sharded weights; train unsharded")
        all_words, all_picks, all_kept = (max(total, 1) for total in totals)
        words = regions = drift = 0.0
        for batch, counts_for in self._batches(prepared):
            with self._precision():
                losses = self.learner(batch)
            mean_words, mean_regions = losses.words / all_words, losses.regions / all_picks
            mean_drift = losses.drift / all_kept
            loss = counts_for * (self.stage.words * mean_words + mean_regions + self.stage.drift * mean_drift)
            if loss.requires_grad:
                loss.backward()
            words += counts_for * mean_words.item()
            regions += counts_for * mean_regions.item()
            drift += counts_for * mean_drift.item()
        answers = sum(one.answers for one in prepared)
        return self.team.total(words, regions, drift, len(prepared), answers)

    def _batches(self, prepared: list[Prepared]) -> Iterator[tuple[list[Prepared], float]]:
        """What goes through the model at once, and what it counts for.

        Sharded layers are put together by all processes at once, so all must run as often: those with fewer
        images repeat one that counts for nothing.
        """
        size = self.stage.batch
        batches = [prepared[i : i + size] for i in range(0, len(prepared), size)]
        yield from ((batch, 1.0) for batch in batches)
        if self.team.sharded:
            self._spare = prepared[-1] if prepared else self._spare
            for _ in range(int(self.team.most(len(batches))) - len(batches)):
                if self._spare is None:
                    raise TrainingError("no record of the first step could be used; see the log for why")
                yield [self._spare], 0.0

    def _precision(self) -> torch.autocast:
        low = self.stage.precision == "bfloat16"
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=low)

    def _measure(self) -> None:
        every = self.stage.check_every
        if self.check is None or not every or (self.step % every and self.step < self.stage.steps):
            return
        self.model.encoder.eval()
        with self.averaged(), self.team.whole_weights(self.learner), self._precision():
            figures = self.check()
        self.model.encoder.train()
        shown = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        _log.info("%s %d: %s", self.stage.name, self.step, shown)
        for hears in self.measured:
            hears(self.step, figures)


def _tell(stage: Stage, recent: Sequence[Progress], skipped: int) -> None:
    seconds = sum(one.seconds for one in recent)
    names = ("words", "regions", "drift", "norm")
    mean = [sum(getattr(one, name) for one in recent) / len(recent) for name in names]
    step = recent[-1].step
    _log.info(
        "%s %d/%d  words %.3f  regions %.3f  drift %.3f  norm %.2f  "
        "%.1f images/s  %.1f answers/s  idle %.0f %%  %.0f s to go  skipped %d",
        stage.name,
        step,
        stage.steps,
        *mean,
        sum(one.images for one in recent) / seconds,
        sum(one.answers for one in recent) / seconds,
        100 * sum(one.waited for one in recent) / seconds,
        (stage.steps - step) * seconds / len(recent),
        skipped,
    )

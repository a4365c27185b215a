"""`Journal`: what a run did, for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from fo1.training.trainer import Progress


class Journal:
    """Writes event files below a folder; those of a resumed run go on from its step."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def step(self, done: Progress) -> None:
        """Losses, gradient, and how fast it went."""
        for name in ("words", "regions", "drift", "norm"):
            self._writer.add_scalar(f"training/{name}", getattr(done, name), done.step)
        self._writer.add_scalar("speed/answers per second", done.answers / done.seconds, done.step)
        self._writer.add_scalar("speed/idle share", done.waited / done.seconds, done.step)

    def check(self, step: int, figures: Mapping[str, float]) -> None:
        """What was measured."""
        for name, value in figures.items():
            self._writer.add_scalar(f"check/{name}", value, step)
        self._writer.flush()

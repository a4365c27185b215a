"""`MovingAverage`: of the trained weights over the steps; often better than the last step's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    """Exponential. trained: the parameters by name; decay: how much of the average a step keeps.

    Early on, where an average would remember the start, it keeps less: (1 + step) / (10 + step).
    """

    def __init__(self, trained: Mapping[str, Tensor], decay: float) -> None:
        self.trained, self.decay = dict(trained), decay
        self.kept = {name: value.detach().clone() for name, value in trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights of this step in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.trained.items():
            self.kept[name].lerp_(value.detach(), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within this context the model has the average's weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.trained.items():
            now = value.detach().clone()
            value.copy_(self.kept[name])
            self.kept[name].copy_(now)

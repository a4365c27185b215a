"""`Checkpoint`: one file that an interrupted run goes on from, with any number of processes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fo1.errors import Fo1Error
from fo1.training.average import MovingAverage
from fo1.training.team import Learner, Team


class TrainingError(Fo1Error):
    """A run that cannot go on."""


class Checkpoint:
    """Step, trained weights, their average if there is one, optimiser, and the place in the course."""

    def __init__(
        self,
        path: Path,
        team: Team,
        learner: Learner,
        trained: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
    ) -> None:
        self.path, self.team, self.learner = path, team, learner
        self.trained, self.optimizer, self.average = trained, optimizer, average

    def save(self, step: int, course: Mapping[str, Any]) -> None:
        """Written whole or not at all, by the process that leads; all must call it."""
        team = self.team
        state: dict[str, Any] = {
            "step": step,
            "course": dict(course),
            "weights": {name: team.whole(p) for name, p in self.trained.items()},
            "optimizer": team.optimizer_state(self.learner, self.optimizer),
        }
        if self.average is not None:
            state["average"] = {name: team.whole(p) for name, p in self.average.kept.items()}
        if team.leads:
            partial = self.path.with_suffix(".partial")
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        team.wait()

    def load(self) -> tuple[int, dict[str, Any]]:
        """The step, and the place in the course. Raises `TrainingError` if it does not fit the stage."""
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
            if set(state["weights"]) != set(self.trained):
                raise TrainingError(
                    f"{self.path} is of a stage that trains other parameters; use another folder or name"
                )
            for name, value in state["weights"].items():
                self.team.assign(self.trained[name].data, value)
            if self.average is not None:  # a stage that had none begins it here
                for name, value in state.get("average", state["weights"]).items():
                    self.team.assign(self.average.kept[name], value)
            self.team.restore_optimizer(self.learner, self.optimizer, state["optimizer"])
            return int(state["step"]), state["course"]
        except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{self.path} does not load ({error}); delete it to start anew") from error

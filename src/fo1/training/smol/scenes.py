"""`SceneCourse`: encoded scenes, asked about anew each time they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fo1.data.settings import SettingError
from fo1.training.losses import Prepared
from fo1.training.smol.questions import QuestionMaker, SeenScene
from fo1.training.smol.records import SceneRecord


class SceneCourse:
    """Every epoch is one shuffle of all scenes; all follows from the seed and the position."""

    skipped = 0

    def __init__(self, questions: QuestionMaker, records: Sequence[SceneRecord], seed: int = 0) -> None:
        if not records:
            raise SettingError("no scenes to learn from; encode some first")
        self.questions, self.records, self.seed = questions, records, seed
        self.position = 0

    def take(self, count: int) -> list[int]:
        """Positions only: questions need the tokenizer, which the step before is using."""
        start, self.position = self.position, self.position + count
        return list(range(start, start + count))

    def prepare(self, taken: Sequence[int]) -> list[Prepared]:
        return [self._scene(position) for position in taken]

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position, "scenes": len(self.records), "seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if (state["scenes"], state["seed"]) != (len(self.records), self.seed):
            raise SettingError(
                f"the run was begun with {state['scenes']} scenes and seed {state['seed']}, not "
                f"{len(self.records)} and {self.seed}; use those, or another folder"
            )
        self.position = int(state["position"])

    def _scene(self, position: int) -> SeenScene:
        epoch, within = divmod(position, len(self.records))
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.records))
        rng = np.random.default_rng((self.seed, 2, position))
        return self.questions(self.records[int(order[within])], rng)

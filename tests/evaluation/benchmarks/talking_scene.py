"""A scene that says what a test wants, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from evaluation.benchmarks.scripted_scene import SIZE, Boxes, ScriptedScene
from fo1.findings import Findings
from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import region_name


class TalkingScene(ScriptedScene):
    """answers: question → what is said; a question without any is a mistake of the test.

    points: a model that scores regions and does not write them. names: known ones, by region.
    """

    def __init__(
        self,
        boxes: Boxes,
        answers: Mapping[str, str] | None = None,
        scores: Mapping[str, Sequence[float]] | None = None,
        points: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(boxes, scores or {})
        self.answers, self._names = dict(answers or {}), tuple(names)
        self.model: Any = SimpleNamespace(splice=SimpleNamespace(pointer="one" if points else None))

    @property
    def known_names(self) -> tuple[str, ...]:
        return self._names

    def ask(self, question: str, max_new_tokens: int = 48, *_: Any, **__: Any) -> str:
        assert max_new_tokens >= 16
        return self.answers[question]

    def describe(self, region: int | None = None) -> str:
        return self.ask(TASKS["describe"].fill(region_name(region or 0)))

    def names(self, region: int, among: Any = None, count: int = 5) -> list[tuple[str, float]]:
        return [(self._names[region], 0.5)]

    def locate(self, label: str, threshold: float | None = None) -> Findings:
        return self.detect([label], self.settings.threshold if threshold is None else threshold)

    def find(self, phrase: str, threshold: float | None = None) -> Findings:
        found = self.detect([phrase], threshold)
        best = np.arange(min(len(found), 1))
        return Findings(
            found.xyxy[best],
            found.scores[best],
            found.labels[: len(best)],
            found.regions[best],
            SIZE,
        )

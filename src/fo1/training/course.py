"""`Course`: what a stage learns from, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from fo1.data.exercise import Exercise
from fo1.data.packing import Packer
from fo1.model import Encoded, RegionModel
from fo1.training.lessons import Lesson, Lessons
from fo1.training.losses import Prepared
from fo1.vlm.family import Sight

Taken = TypeVar("Taken")


class Course(Protocol[Taken]):
    """Gives each step its images, the same in every run and also after a resume.

    skipped: how many could not be used so far.
    """

    @property
    def skipped(self) -> int: ...

    def take(self, count: int) -> list[Taken]:
        """What can be learnt from of the next `count`. Runs beside the step before, in another thread."""

    def prepare(self, taken: Sequence[Taken]) -> list[Prepared]:
        """Through all that is frozen, without gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Where to go on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises `SettingError` if the state is of another course."""


@dataclass(frozen=True, eq=False)
class SeenLesson(Prepared):
    """A lesson that the family's frozen eyes have seen."""

    lesson: Lesson
    sight: Sight
    exercises: tuple[Exercise, ...]

    def encode(self, model: RegionModel) -> Encoded:
        """An auxiliary encoder that is frozen keeps no graph."""
        maps = None
        if model.auxiliary is not None:
            trained = any(p.requires_grad for p in model.auxiliary.parameters())  # type: ignore[attr-defined]
            with torch.set_grad_enabled(trained):
                (maps,) = model.auxiliary([self.lesson.image])
        features = model.pool(self.sight.maps, maps, self.lesson.regions)
        return model.embed(features, self.lesson.regions, self.sight)


class LessonCourse:
    """Records of any source, for any model.

    limit: tokens of an exercise at most, its image included.
    """

    def __init__(self, model: RegionModel, lessons: Lessons, limit: int = 4096) -> None:
        self.model, self.lessons = model, lessons
        self.packer = Packer(model.prompts, limit, scored=model.splice.pointer is not None)

    @property
    def skipped(self) -> int:
        return self.lessons.skipped

    def take(self, count: int) -> list[Lesson]:
        return self.lessons.take(count)

    @torch.no_grad()
    def prepare(self, taken: Sequence[Lesson]) -> list[Prepared]:
        """Runs the family's eyes, and writes the prompts. Lessons of which nothing fits are left out."""
        prepared: list[Prepared] = []
        for lesson, sight in zip(taken, self.model.family.see([one.image for one in taken]), strict=True):
            exercises = self.packer(lesson.record, sight.ids, lesson.ambiguous).exercises
            if exercises:
                prepared.append(SeenLesson(lesson, sight, exercises))
        return prepared

    def state_dict(self) -> dict[str, Any]:
        return self.lessons.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lessons.load_state_dict(state)

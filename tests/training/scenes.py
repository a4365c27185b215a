"""Records of a few painted scenes, and the tiny model to train on them."""

from __future__ import annotations

from pathlib import Path

from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.record import Record, Turn
from fo1.model import RegionModel
from fo1.training.course import LessonCourse
from fo1.training.lessons import Lessons, Showing
from fo1.training.painting import paint
from fo1.training.stage import Stage

ALIGN = Stage("align", steps=6, rates={"encoder.*": 1e-3, "splice.*": 1e-3}, batch=2, warmup=2)
MIX = ProposalMix(jitter=0.05)


def records(folder: Path, count: int = 4) -> list[Record]:
    return [paint(folder, number) for number in range(count)]


def lessons(known: list[Record], **options: object) -> Lessons:
    return Lessons(Mixture([Source("painted", known)]), Showing(mix=MIX, **options))  # type: ignore[arg-type]


def course(model: RegionModel, known: list[Record], limit: int = 4096) -> LessonCourse:
    return LessonCourse(model, lessons(known), limit)


def talk(question: str, answer: str) -> tuple[Turn, Turn]:
    return Turn("user", question), Turn("assistant", answer)

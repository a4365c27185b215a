"""`Verdict`: what becomes of a box, from what the model thinks of it and where the limits are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fo1.errors import Fo1Error


class Decision(str, Enum):
    """accept: the label may stay. relabel: it is surely another class. reject: neither."""

    accept = "accept"
    reject = "reject"
    relabel = "relabel"


@dataclass(frozen=True)
class Limits:
    """Where a judgement changes; all from 0 to 1.

    accept: least confidence of a label that stays. relabel: chance from which a rejected box is the other
    class. score: least score of a box that stays; 0 leaves boxes on nothing at all to who made them.
    missed: score from which a found thing without a box is one that was missed.
    Raises `Fo1Error` for other numbers.
    """

    accept: float = 0.02
    relabel: float = 0.7
    score: float = 0.0
    missed: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise Fo1Error(f"the limit {name} must be from 0 to 1, got {value}")


@dataclass(frozen=True)
class Verdict:
    """What the model thinks of one box.

    confidence: its label against the best other class, as one of two. score: that the region is what its
    label says, as `Scene.detect` gives it. other, chance: the best other class, and its chance among all
    classes; None if there is no other. names: the best of all names the model knows, with their chances.
    """

    label: str
    decision: Decision
    confidence: float
    score: float
    other: str | None
    chance: float
    names: tuple[tuple[str, float], ...] = ()

    @property
    def right(self) -> bool:
        """Does the box stay, with its label?"""
        return self.decision is Decision.accept

    @property
    def final(self) -> str | None:
        """What it is called now; None if it goes."""
        return {Decision.accept: self.label, Decision.relabel: self.other, Decision.reject: None}[
            self.decision
        ]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, as reports and the server say it."""
        return {
            **vars(self),
            "decision": self.decision.value,
            "final": self.final,
            "names": [{"name": name, "chance": chance} for name, chance in self.names],
        }


def verdicts(row: Mapping[str, Any], limits: Limits) -> list[Verdict]:
    """One for each box of a row, see `fo1.labeling.judging.weigh`."""
    names = row["names"] or [()] * len(row["labels"])
    return [
        _verdict(label, scores, chances, tuple((name, chance) for name, chance in named), limits)
        for label, scores, chances, named in zip(
            row["labels"], row["scores"], row["chances"], names, strict=True
        )
    ]


def _verdict(
    label: str,
    scores: Mapping[str, float],
    chances: Mapping[str, float],
    names: tuple[tuple[str, float], ...],
    limits: Limits,
) -> Verdict:
    own, score = chances.get(label, 0.0), scores.get(label, 0.0)
    others = {name: chance for name, chance in chances.items() if name != label}
    other = max(others, key=lambda name: others[name], default=None)
    chance = 0.0 if other is None else others[other]
    # With nothing to compare it with, a box is judged by its score alone.
    confidence = own / (own + chance) if other is not None and own + chance > 0 else score
    if confidence >= limits.accept and score >= limits.score:
        decision = Decision.accept
    else:
        decision = Decision.relabel if chance >= limits.relabel and confidence < 0.5 else Decision.reject
    return Verdict(label, decision, round(confidence, 4), score, other, chance, names)

"""Questions about what is not there: refusing is a region model's weak point, and few data sets teach it."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal, get_args

import numpy as np

from fo1.data.presence import Conflict, Corpus, Presence, groundings, same_word
from fo1.data.record import Dialogue, Record, Turn
from fo1.data.settings import SettingError, check_share
from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END

NegativeKind = Literal["random", "frequent", "sibling", "together"]
_TRIES = 20
_EVEN: dict[NegativeKind, float] = {"random": 1.0, "frequent": 1.0, "sibling": 1.0, "together": 1.0}
_GROUNDING = re.compile(rf"{GROUND}(.*?){GROUND_END}{OBJECTS}.*?{OBJECTS_END}", re.DOTALL)


@dataclass(frozen=True)
class NegativeMix:
    """How many absent labels are asked for, and which. All defaults are our choice; the paper gives none.

    ratio: absent labels for each present one, on average. least, most: absent labels per record.
    kinds: weights of random labels; frequent ones, by how many images have them; siblings of what is present
        (same place in a hierarchy); labels often found together with what is present.
    alone: share asked for in a question of their own. The others join a question about what is present.

    Raises `SettingError` for values that make no sense.
    """

    ratio: float = 1.0
    least: int = 1
    most: int = 8
    kinds: Mapping[NegativeKind, float] = field(default_factory=lambda: dict(_EVEN))
    alone: float = 0.3

    def __post_init__(self) -> None:
        check_share("alone", self.alone)
        if not (math.isfinite(self.ratio) and self.ratio >= 0 and 0 <= self.least <= self.most):
            raise SettingError(
                f"ratio {self.ratio}, least {self.least}, most {self.most}: none is negative, least ≤ most"
            )
        unknown = set(self.kinds) - set(get_args(NegativeKind))
        if unknown or not sum(self.kinds.values()) > 0 or min(self.kinds.values()) < 0:
            raise SettingError(
                f"kinds of negatives {dict(self.kinds)}: known are {', '.join(get_args(NegativeKind))}, "
                "with weights of which none is negative and one positive"
            )

    def number(self, present: int, rng: np.random.Generator) -> int:
        """How many absent labels to ask for beside so many present ones; right on average."""
        wanted = self.ratio * present
        number = math.floor(wanted) + int(rng.random() < wanted % 1)
        return min(max(number, self.least), self.most)


class Negatives:
    """Chooses absent labels and asks for them.

    corpus: labels to choose from, with their counts. siblings: other labels of the same place in a
    hierarchy. conflicts: may one of two labels be true of what the other names (synonyms, wider words,
    parts)? Then none is denied beside the other. wordings: instructions with `{}` for the labels.

    Raises `SettingError` for a corpus without labels.
    """

    def __init__(
        self,
        corpus: Corpus,
        mix: NegativeMix | None = None,
        siblings: Callable[[str], Iterable[str]] = lambda label: (),
        conflicts: Conflict = same_word,
        wordings: Sequence[str] = (TASKS["detect"].instruction,),
    ) -> None:
        if not corpus.images:
            raise SettingError("no labels to take negatives from; count those of labelled records: Corpus.of")
        self.corpus, self.mix = corpus, mix or NegativeMix()
        self.siblings, self.conflicts, self.wordings = siblings, conflicts, tuple(wordings)
        self._kinds = sorted(kind for kind, weight in self.mix.kinds.items() if weight > 0)
        self._evenly = _Pool.of(dict.fromkeys(corpus.images, 1))
        self._frequent = _Pool.of(corpus.images)

    def choose(
        self, presence: Presence, count: int, rng: np.random.Generator, asked: Sequence[str] = ()
    ) -> list[str]:
        """At most `count` different labels that are absent for sure, none in conflict with what is there.

        Fewer if there are no more, or none to be found in a few tries. asked: labels not to ask for again.
        """
        weights = np.array([self.mix.kinds[kind] for kind in self._kinds])
        chosen: list[str] = []
        for _ in range(count):
            # A kind that has nothing to offer leaves its turn to the next.
            order = rng.choice(self._kinds, size=len(self._kinds), replace=False, p=weights / weights.sum())
            found = next(
                (label for kind in order if (label := self._one(kind, presence, [*asked, *chosen], rng))),
                None,
            )
            if found is None:
                break
            chosen.append(found)
        return chosen

    def __call__(self, record: Record, rng: np.random.Generator, presence: Presence | None = None) -> Record:
        """The record, its texts still about its own boxes, with absent labels asked for as well.

        Some join dialogues that ask to detect what is present and only that; both question and answer then
        have them at the same places. The others get dialogues of their own, behind the given ones.
        """
        known = Presence.of(record) if presence is None else presence
        asked = [grounding.phrase for grounding in groundings(record)]
        absent = self.choose(known, self.mix.number(len(known.present), rng), rng, asked)
        dialogues = list(record.dialogues)
        extensible = [number for number, dialogue in enumerate(dialogues) if is_list(dialogue)]
        for label in absent:
            # A comma would make two labels of it.
            if extensible and "," not in label and rng.random() >= self.mix.alone:
                number = extensible[int(rng.integers(len(extensible)))]
                dialogues[number] = joined(dialogues[number], label, rng)
            else:
                wording = self.wordings[int(rng.integers(len(self.wordings)))]
                dialogues.append(
                    (Turn("user", wording.replace("{}", label)), Turn("assistant", denied(label)))
                )
        return replace(record, dialogues=tuple(dialogues))

    def _one(
        self, kind: str, presence: Presence, asked: Sequence[str], rng: np.random.Generator
    ) -> str | None:
        pool = self._pool(kind, presence, rng)
        for _ in range(_TRIES if pool.labels else 0):
            label = pool.draw(rng)
            # Nor two that mean the same: asked for together they would be one thing. And no tags in texts.
            if (
                "<" not in label
                and presence.deniable(label, self.conflicts)
                and not any(self.conflicts(label, other) for other in asked)
            ):
                return label
        return None

    def _pool(self, kind: str, presence: Presence, rng: np.random.Generator) -> _Pool:
        counts = self.corpus.images
        if kind in ("random", "frequent"):
            evenly = kind == "random"
            if presence.absent is None:
                return self._evenly if evenly else self._frequent
            # Among all labels, the few that are known to be absent would hardly be hit.
            return _Pool.of({label: 1 if evenly else counts[label] for label in presence.absent})
        if not presence.present:
            return _Pool((), ())
        near = presence.present[int(rng.integers(len(presence.present)))]
        if kind == "sibling":
            return _Pool.of(dict.fromkeys(self.siblings(near), 1))
        return _Pool.of(self.corpus.together.get(near, {}))


@dataclass(frozen=True)
class _Pool:
    """Labels to draw from. ends: their weights, summed up."""

    labels: Sequence[str]
    ends: Sequence[int]

    @classmethod
    def of(cls, weights: Mapping[str, int]) -> _Pool:
        # Sorted, so that nothing depends on the order in which labels were found.
        labels = sorted(label for label, weight in weights.items() if weight > 0)
        return cls(labels, list(accumulate(weights[label] for label in labels)))

    def draw(self, rng: np.random.Generator) -> str:
        return self.labels[bisect_right(self.ends, int(rng.integers(self.ends[-1])))]


def denied(label: str) -> str:
    """The answer that there is no such thing."""
    return f"{GROUND}{label}{GROUND_END}{OBJECTS}None{OBJECTS_END}"


def is_list(dialogue: Dialogue) -> bool:
    """Does it ask for labels, listed in the question, and answer with their groundings and nothing else?"""
    talk = dialogue[1:] if dialogue[:1] and dialogue[0].role == "system" else dialogue
    if [turn.role for turn in talk] != ["user", "assistant"]:
        return False
    labels = [found.group(1) for found in _GROUNDING.finditer(talk[1].text)]
    rest = _GROUNDING.sub("", talk[1].text).strip()
    # Asked in the order of the answer, and where to put one more is beyond doubt.
    plain = bool(labels) and not any("," in label for label in labels) and not rest
    return plain and talk[0].text.count(", ".join(labels)) == 1


def joined(dialogue: Dialogue, label: str, rng: np.random.Generator) -> Dialogue:
    """The dialogue, of which `is_list` holds, with one more label at a random place, which is not there."""
    *before, question, answer = dialogue
    found = list(_GROUNDING.finditer(answer.text))
    labels, parts = [one.group(1) for one in found], [one.group() for one in found]
    between = answer.text[found[0].end() : found[1].start()] if len(found) > 1 else ""
    asked = ", ".join(labels)
    place = int(rng.integers(len(found) + 1))
    labels.insert(place, label)
    parts.insert(place, denied(label))
    return (
        *before,
        Turn("user", question.text.replace(asked, ", ".join(labels))),
        Turn("assistant", between.join(parts)),
    )

"""`Presence`: which labels may be denied of an image, and `Corpus`: how often labels occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fo1.data.record import Record
from fo1.prompts.parsing import Grounding, parse_answer

Conflict = Callable[[str, str], bool]


def same_word(label: str, other: str) -> bool:
    """The least of conflicts: the same words, whatever their case."""
    return label.casefold() == other.casefold()


@dataclass(frozen=True)
class Presence:
    """What is known of the labels of one image.

    present: labels of its objects. unsure: labels that may be there, boxed or not; never denied.
    absent: the labels known to be absent, if only those are (federated data such as LVIS); None: everything
    that does not conflict with the others is absent.
    """

    present: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    absent: tuple[str, ...] | None = None

    @classmethod
    def of(cls, record: Record) -> Presence:
        """From a record's labels, the phrases of its answers, and `meta`.

        meta: "absent", labels known not to be there; "partial", labels of which not all objects have a box;
        "exhaustive": false if that may hold of any label. Then, and where a box has no label or there are no
        labels, only what is listed as absent may be denied.
        """
        phrases = [grounding.phrase for grounding in groundings(record) if grounding.regions]
        known = [label for label in record.labels or () if label is not None]
        complete = record.labels is not None and len(known) == len(record.boxes)
        listed = _strings(record.meta.get("absent"))
        closed = complete and record.meta.get("exhaustive", True) is not False and listed is None
        return cls(
            tuple(dict.fromkeys([*known, *filter(None, phrases)])),
            _strings(record.meta.get("partial")) or (),
            None if closed else listed or (),
        )

    def deniable(self, label: str, conflicts: Conflict = same_word) -> bool:
        """May an answer say that there is no such thing?"""
        if self.absent is not None and label not in self.absent:
            return False
        return not any(conflicts(label, other) for other in (*self.present, *self.unsure))


@dataclass
class Corpus:
    """How many images have a label, and a pair of labels.

    images: by label. together: for each label, the labels found in the same images.
    """

    images: Counter[str] = field(default_factory=Counter)
    together: dict[str, Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Corpus:
        """Counts the labels of records' boxes."""
        corpus = cls()
        for record in records:
            corpus.add(label for label in record.labels or () if label is not None)
        return corpus

    def add(self, labels: Iterable[str]) -> None:
        """One more image with these labels."""
        found = sorted(set(labels))
        self.images.update(found)
        for label in found:
            others = self.together.setdefault(label, Counter())
            others.update(other for other in found if other != label)


def groundings(record: Record) -> list[Grounding]:
    """All phrases that answers ground, also those grounded in nothing."""
    answers = (turn.text for talk in record.dialogues for turn in talk if turn.role == "assistant")
    return [found for text in answers for found in parse_answer(text, len(record.boxes)).groundings]


def _strings(value: Any) -> tuple[str, ...] | None:
    return tuple(str(item) for item in value) if isinstance(value, (list, tuple)) else None

"""`LabelTable`: every name training knows; what is right for a scene, wrong, or better not asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fo1.training.smol.records import SceneRecord
from fo1.training.smol.thesaurus import Thesaurus

LOW, HIGH = 0.4, 0.7  # IoU at which a box begins to count as the object, and from which it is the object


def rightness(overlap: Tensor) -> Tensor:
    """How much a box counts as an object, 0 … 1, from their IoU; a tighter box counts more."""
    return ((overlap - LOW) / (HIGH - LOW)).clamp(0, 1)


@dataclass(frozen=True)
class Truth:
    """What is right for a scene of N regions, over V labels.

    target: (N, V) in 0 … 1. present: (V,) labels that fit an object with a box. absent: (V,) labels that may
    be denied; what is neither is better not asked. name: (N,) index of what each region shows, -1 for none
    or not clearly one. alike: (N, V) labels that compete with that name: not true of the thing, not near it.
    """

    target: Tensor
    present: Tensor
    absent: Tensor
    name: Tensor
    alike: Tensor


class LabelTable:
    """All labels at once, where `QuestionMaker` asks a handful: matching learns from every wrong name.

    labels: V of them, without doubles.
    """

    def __init__(self, labels: Sequence[str], thesaurus: Thesaurus) -> None:
        self.labels, self.thesaurus = list(labels), thesaurus
        self._number = {label: i for i, label in enumerate(self.labels)}
        self._fits: dict[str, Tensor] = {}
        self._near: dict[str, Tensor] = {}

    def numbers(self, labels: Sequence[str]) -> list[int]:
        """The labels' places in the table. Raises `KeyError` for one that is not in it."""
        return [self._number[label] for label in labels]

    def fits(self, name: str) -> Tensor:
        """(V,) bool: may a thing of this name be called by the label?"""
        if name not in self._fits:
            self._fits[name] = torch.tensor([self.thesaurus.matches(label, name) for label in self.labels])
        return self._fits[name]

    def near(self, name: str) -> Tensor:
        """(V,) bool: labels one could not deny with such a thing in the picture."""
        if name not in self._near:
            self._near[name] = torch.tensor([self.thesaurus.conflicts(label, name) for label in self.labels])
        return self._near[name]

    def truth(self, record: SceneRecord, clear: float = 0.6) -> Truth:
        """clear: IoU from which a region is said to show one object."""
        none = torch.zeros(len(self.labels), dtype=torch.bool)
        target = torch.zeros(record.count, len(self.labels))
        present, near, unsure = none.clone(), none.clone(), none.clone()
        for name in set(record.uncertain):
            unsure |= self.near(name) | self.fits(name)
        for number, name in enumerate(record.names):
            fits = self.fits(name)
            present |= fits
            near |= self.near(name)
            right = rightness(record.overlap[:, number])[:, None] * fits
            target = torch.maximum(target, right)
        found = (target > 0.5).any(dim=0)
        return Truth(
            target,
            present & found & ~unsure,
            ~(present | near | unsure),
            *self._names(record, clear),
        )

    def _names(self, record: SceneRecord, clear: float) -> tuple[Tensor, Tensor]:
        name = torch.full((record.count,), -1)
        alike = torch.zeros(record.count, len(self.labels), dtype=torch.bool)
        if not record.names:
            return name, alike
        best, which = record.overlap.max(dim=1)
        for row in (best >= clear).nonzero()[:, 0].tolist():
            shown = record.names[int(which[row])]
            number = self._number.get(shown)
            if number is None:
                continue
            name[row] = number
            alike[row] = ~(self.fits(shown) | self.near(shown))
            alike[row, number] = True
        return name, alike

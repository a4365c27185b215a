"""Prompts that share prefixes: a tree of token segments, run as one sequence.

One image-and-regions prefix, many questions below it, several labels below each question: every segment sees
its ancestors and itself, never its siblings. Positions continue from the parent's end, so that each
root-to-leaf path is read exactly as if it stood alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class PromptTree:
    """Segments in the order they were added; `add` returns the number by which children name their parent.

    answers: which segments the model writes, or begin with what it writes; the others are read.
    """

    ids: list[list[int]] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int], parent: int = -1, answer: bool = False) -> int:
        """Appends a segment of one or more tokens below `parent` (-1: the root). Returns its number."""
        if not -1 <= parent < len(self.ids):
            raise ValueError(f"parent {parent} is not a segment yet")
        if not ids:
            raise ValueError("a segment without tokens has no place in the sequence")
        self.offsets.append(len(self))
        self.starts.append(0 if parent < 0 else self.starts[parent] + len(self.ids[parent]))
        self.ids.append(list(ids))
        self.parents.append(parent)
        self.answers.append(answer)
        return len(self.ids) - 1

    def child(self, ids: Sequence[int], parent: int) -> int:
        """The segment of these tokens right below `parent`, added if there is none yet."""
        known = zip(self.ids, self.parents, strict=True)
        same = (number for number, segment in enumerate(known) if segment == (list(ids), parent))
        found = next(same, None)
        return self.add(ids, parent) if found is None else found

    def __len__(self) -> int:
        """Tokens in all."""
        return self.offsets[-1] + len(self.ids[-1]) if self.ids else 0

    def last(self, segment: int) -> int:
        """Index, in the flat sequence, of a segment's last token."""
        return self.offsets[segment] + len(self.ids[segment]) - 1

    def segment(self, place: int) -> int:
        """The segment in which a place of the flat sequence is."""
        return bisect_right(self.offsets, place) - 1

    def line(self, segment: int) -> list[int]:
        """The segments from the root to this one."""
        above = self.line(self.parents[segment]) if self.parents[segment] >= 0 else []
        return [*above, segment]

    def path(self, segment: int) -> list[int]:
        """Token ids from the root to the end of a segment, as they read alone."""
        return [token for number in self.line(segment) for token in self.ids[number]]

    def tokens(self) -> Tensor:
        """Flat token ids, (T,)."""
        return torch.tensor([token for segment in self.ids for token in segment], dtype=torch.long)

    def positions(self) -> Tensor:
        """Position of every token on its own path, (T,)."""
        spans = [
            torch.arange(start, start + len(ids)) for start, ids in zip(self.starts, self.ids, strict=True)
        ]
        return torch.cat(spans) if spans else torch.zeros(0, dtype=torch.long)

    def mask(self) -> Tensor:
        """(T, T) bool: may the row's token attend to the column's?"""
        total = len(self)
        allowed = torch.zeros(total, total, dtype=torch.bool)
        for i, ids in enumerate(self.ids):
            rows = slice(self.offsets[i], self.offsets[i] + len(ids))
            if self.parents[i] >= 0:
                parent = self.parents[i]
                allowed[rows] = allowed[self.last(parent)]
            allowed[rows, rows] = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
        return allowed

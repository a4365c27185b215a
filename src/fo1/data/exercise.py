"""`Exercise`: a prompt tree, and what is right at some places of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from fo1.prompts.tree import PromptTree


class Pick(NamedTuple):
    """Where the regions that a phrase is about are named.

    place: in the flat tree. target: (N,) float32, how right each region is, in 0 … 1; NaN: nothing is learnt
    of it.
    """

    place: int
    phrase: str
    target: Tensor


class Word(NamedTuple):
    """place: in the flat tree. token: id of what is to be written next."""

    place: int
    token: int


@dataclass
class Exercise:
    """Questions about one image. kept: places after which the base is to go on as it did before training.
    dialogues: of a record's, the numbers of those that it asks."""

    tree: PromptTree = field(default_factory=PromptTree)
    picks: list[Pick] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    dialogues: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """Tokens in all."""
        return len(self.tree)

    @property
    def places(self) -> list[int]:
        """Where outputs are looked at: of the picks, then of the words, then of what is kept."""
        return [pick.place for pick in self.picks] + [word.place for word in self.words] + self.kept

    def pick(self, question: int, naming: Sequence[int], phrase: str, target: Tensor) -> None:
        """Below a question, the answer up to where the phrase's regions are named: ids `naming`."""
        segment = self.tree.add(naming, question, answer=True)
        self.picks.append(Pick(self.tree.last(segment), phrase, target))

    def write(self, question: int, ids: Sequence[int], learnt: Sequence[bool] | None = None) -> None:
        """Below a question, an answer and what may follow; learnt: which of its tokens, None for all."""
        before = self._answer(question, ids)
        bears = [True] * len(ids) if learnt is None else learnt
        self.words += [
            Word(place, token) for place, token, bear in zip(before, ids, bears, strict=True) if bear
        ]

    def keep(self, question: int, ids: Sequence[int]) -> None:
        """Below a question, an answer of the base's own, which it is to find as likely as before."""
        self.kept += self._answer(question, ids)

    def _answer(self, question: int, ids: Sequence[int]) -> list[int]:
        """Adds the segment; returns the place before each of its tokens."""
        segment = self.tree.add(ids, question, answer=True)
        first = self.tree.offsets[segment]
        return [self.tree.last(question), *range(first, first + len(ids) - 1)]

"""`Grammar`: which tokens may follow what an answer says, so that it is well formed wherever it ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fo1.prompts.builder import PromptBuilder
from fo1.prompts.tasks import AnswerKind
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END, THINK, THINK_END

_NOTHING = np.zeros(0, np.int64)


class Choice(NamedTuple):
    """What may be written next: one of `ids`, or, if not `only`, any token but them. None of `never`."""

    ids: NDArray[np.int64]
    only: bool = True
    never: NDArray[np.int64] = _NOTHING


class State(NamedTuple):
    """Where in an answer its next token will stand.

    place: in the opening of a label's list, in a list of regions, in free text, or after all.
    label: number of the label; as many as there are labels for lists of a free text.
    step: tokens written of the opening, or of `None` in a list.
    named: ids of the regions that the list has named.
    open: ids that close the open tags of a text, outermost first.
    begun: last tokens of a text that may be spelling a tag, see `Spelling`.
    """

    place: Literal["opening", "list", "text", "end"]
    label: int = 0
    step: int = 0
    named: frozenset[int] = frozenset()
    open: tuple[int, ...] = ()
    begun: tuple[int, ...] = ()


class Grammar:
    """What answers of one kind to one prompt may look like. It has no memory: states are values.

    An answer to labels has `<ground>label</ground><objects>…</objects>` for each of them, in their order and
    as the prompt spells them. A list names regions that exist, each once, or says `None`, or is empty. Text
    may hold lists of the same kind, if it is no mere end of an answer to labels. All tags close.

    stops: tokens that end an answer. regions: how many the prompt shows.
    """

    def __init__(
        self,
        prompts: PromptBuilder,
        stops: Sequence[int],
        regions: int,
        kind: AnswerKind = "text",
        labels: Sequence[str] = (),
    ) -> None:
        vocabulary = prompts.vocabulary
        tags, first = vocabulary.tags, vocabulary.first_region
        self.stops, self.spelling = tuple(stops), prompts.spelling
        self.ground, self.ground_end = tags[GROUND], tags[GROUND_END]
        self.objects, self.objects_end = tags[OBJECTS], tags[OBJECTS_END]
        self.think, self.think_end = tags[THINK], tags[THINK_END]
        self.none = tuple(prompts.template("None"))
        self.regions = range(first, first + regions)
        self.absent = range(first + regions, first + vocabulary.capacity)
        self.slots = [vocabulary.region_slot] if vocabulary.region_slot < vocabulary.size else []
        self.openings = [tuple(prompts.naming(label, regions)) for label in labels]
        self.kind = kind
        # By label, tokens needed from inside its list on; the last entry is of lists in a text.
        later = accumulate((len(opening) + 1 for opening in reversed(self.openings[1:])), initial=1)
        self.rest = [*reversed(list(later)), 1] if labels else [1]
        # There are a few of each, and they are asked for at every step.
        self._items, self._misplaced = cache(self._list_items), cache(self._misplaced_tags)

    @property
    def start(self) -> State:
        """Before the first token."""
        return State("opening") if self.openings else State("text")

    def needed(self, state: State) -> int:
        """The fewest tokens that complete an answer."""
        if state.place == "opening":
            return len(self.openings[state.label]) - state.step + self.rest[state.label]
        if state.place == "list":
            word = len(self.none) - state.step if state.step else 0
            return word + self.rest[state.label] + len(state.open)
        return len(state.open)

    def after(self, state: State, token: int) -> State:
        """The state after one more token. A token that may not stand here ends the answer."""
        if state.place == "opening":
            return self._after_opening(state, token)
        if state.place == "list":
            return self._after_list(state, token)
        if state.place == "text" and token not in self.stops:
            return self._after_text(state, token)
        return State("end")

    def choice(self, state: State, left: int) -> Choice:
        """What may come next if no more than `left` tokens can be written, of which there are enough."""
        if state.place == "opening":
            return Choice(_ids(self.openings[state.label][state.step : state.step + 1]))
        if state.place == "list":
            return self._in_list(state, left - self.needed(state))
        if state.place == "text":
            return self._in_text(state, left - self.needed(state))
        return Choice(_ids(self.stops))

    def _after_opening(self, state: State, token: int) -> State:
        opening = self.openings[state.label]
        if token != opening[state.step]:
            return State("end")
        step = state.step + 1
        return State("list", state.label) if step == len(opening) else state._replace(step=step)

    def _after_list(self, state: State, token: int) -> State:
        if token == self.objects_end and state.step in (0, len(self.none)):
            if state.label + 1 < len(self.openings):
                return State("opening", state.label + 1)
            return State("end" if self.kind == "grounding" else "text", len(self.openings), open=state.open)
        if not state.step and token in self.regions and token not in state.named:
            return state._replace(named=state.named | {token})
        if not state.named and state.step < len(self.none) and token == self.none[state.step]:
            return state._replace(step=state.step + 1)
        return State("end")

    def _after_text(self, state: State, token: int) -> State:
        if state.open and token == state.open[-1]:
            return state._replace(open=state.open[:-1], begun=())
        if token == self.objects:
            return State("list", len(self.openings), open=state.open)
        closing = {self.ground: self.ground_end, self.think: self.think_end}.get(token)
        if closing is not None:
            return state._replace(open=(*state.open, closing), begun=())
        return state._replace(begun=self.spelling.begun(state.begun, token))

    def _in_list(self, state: State, spare: int) -> Choice:
        if state.step:
            word = self.none[state.step : state.step + 1]
            return Choice(_ids(word or (self.objects_end,)))
        none = not state.named and spare >= len(self.none)
        return Choice(self._items(spare >= 1, none), never=_ids(state.named))

    def _list_items(self, more: bool, none: bool) -> NDArray[np.int64]:
        """What a list may go on with. more: is there room for a region? none: and for `None`?"""
        return _ids([self.objects_end, *(self.regions if more else ()), *(self.none[:1] if none else ())])

    def _in_text(self, state: State, spare: int) -> Choice:
        if state.open and spare < 1:
            return Choice(_ids(state.open[-1:]))
        spelled = self.spelling.completing(state.begun)
        return Choice(self._misplaced(state.open, spare >= 2), only=False, never=_ids(spelled))

    def _misplaced_tags(self, open_tags: tuple[int, ...], room: bool) -> NDArray[np.int64]:
        """What a text may not say while these tags are open. room: is there enough for another one?"""
        banned = {*self.absent, *self.slots, self.objects_end, self.ground, self.ground_end}
        banned |= {self.objects, self.think, self.think_end}
        if self.kind != "text":
            return _ids(banned.union(self.regions))
        if room and self.ground_end not in open_tags:
            banned -= {self.ground, self.objects}
        if room and not open_tags:
            banned.remove(self.think)
        if not open_tags:
            banned.remove(self.think_end)  # of thoughts that the prompt itself has opened
        return _ids(banned.union(self.stops if open_tags else ()) - set(open_tags[-1:]))


def _ids(tokens: Collection[int]) -> NDArray[np.int64]:
    return np.array(list(tokens), dtype=np.int64) if tokens else _NOTHING

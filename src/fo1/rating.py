"""`Rating`: what a model says of labels and regions, and how it is read off written answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fo1.decoding import Written
from fo1.hazards import absence, hazards
from fo1.prompts.parsing import Answer, Grounding, mentions, parse_answer
from fo1.prompts.vocabulary import OBJECTS, OBJECTS_END, RegionVocabulary
from fo1.views import View


@dataclass(frozen=True)
class Rating:
    """How sure a model is that regions belong to labels; of L labels and N regions.

    scores: (L, N) float32. absence: (L,) the chance that no region belongs to a label, if it is known.
    Of a model that writes, answer: what it wrote, a line for each part of the regions; named: (L, N) bool.
    """

    scores: NDArray[np.float32]
    absence: NDArray[np.float32] | None
    answer: Answer | None = None
    named: NDArray[np.bool_] | None = None


def read_lists(
    vocabulary: RegionVocabulary,
    labels: Sequence[str],
    total: int,
    answers: Sequence[tuple[View, Written]],
    temperature: float = 1.0,
) -> Rating:
    """Reads answers that a grammar has kept in form: every label has its list, in the labels' order.

    Every region has a score, named or not. What was written is known token by token, so that a label which
    looks like a tag confuses nobody. Answers were decoded with `watched_ids`.
    temperature: divides the log-odds of hazards.
    """
    named, scores = np.zeros((len(labels), total), bool), np.zeros((len(labels), total), np.float32)
    absent, groundings = np.ones(len(labels), np.float32), []
    for view, said in answers:
        rows = np.array(view.rows)
        starts = [i for i, token in enumerate(said.ids) if token == vocabulary.tags[OBJECTS]]
        for number, start in enumerate(starts):
            end = said.ids.index(vocabulary.tags[OBJECTS_END], start)
            places = [token - vocabulary.first_region for token in said.ids[start + 1 : end]]
            listed = [place for place in places if 0 <= place < len(rows)]  # if nothing, it may say `None`
            steps = _steps(said, start + 1, len(listed), len(rows))
            scores[number, rows] = np.maximum(scores[number, rows], hazards(steps, listed, temperature))
            absent[number] *= absence(steps[0], temperature)
            named[number, rows[listed]] = True
            groundings.append(Grounding(labels[number], tuple(rows[listed].tolist())))
    text = "\n".join(view.outward(said.text) for view, said in answers)
    return Rating(scores, absent, Answer(text, tuple(groundings)), named)


def watched_ids(vocabulary: RegionVocabulary, none: int) -> list[int]:
    """The tokens between which a list chooses: regions, its end, and the beginning of `None`."""
    first = vocabulary.first_region
    return [*range(first, first + vocabulary.capacity), vocabulary.tags[OBJECTS_END], none]


def _steps(said: Written, start: int, listed: int, regions: int) -> NDArray[np.float64]:
    """(listed + 1, regions + 1) logits at the steps of a list, of its regions and of stopping."""
    if said.watched is None:
        raise ValueError("the answer was written without watching")
    seen = said.watched[start : start + listed + 1].double().numpy()
    stop = seen[:, -2].copy()
    stop[0] = np.logaddexp(stop[0], seen[0, -1])
    return np.column_stack([seen[:, :regions], stop])


def read_freely(
    vocabulary: RegionVocabulary, labels: Sequence[str], total: int, answers: Sequence[tuple[View, Written]]
) -> Rating:
    """Reads answers of any form. A region's score is how likely its name was when it was written, else 0."""
    named, scores = np.zeros((len(labels), total), bool), np.zeros((len(labels), total), np.float32)
    for view, said in answers:
        chances = _chances(vocabulary, view, said)
        spelled = min(said.chances, default=0.0)  # of a name written out in letters, not by its token
        for phrase, numbers in mentions(view.outward(said.text)):
            row = _asked(phrase, labels)
            for number in numbers:
                waiting = chances.get(number)
                chance = waiting.popleft() if waiting else spelled
                if row is not None and number < total:
                    named[row, number] = True
                    scores[row, number] = max(scores[row, number], chance)
    text = "\n".join(view.outward(said.text) for view, said in answers)
    return Rating(scores, None, parse_answer(text, total), named)


def _chances(vocabulary: RegionVocabulary, view: View, said: Written) -> dict[int, deque[float]]:
    """How likely each region's token was, each time it was written, by the user's number."""
    chances: dict[int, deque[float]] = {row: deque() for row in view.rows}
    for token, chance in zip(said.ids, said.chances, strict=True):
        place = token - vocabulary.first_region
        if 0 <= place < len(view.rows):
            chances[view.rows[place]].append(chance)
    return chances


def _asked(phrase: str, labels: Sequence[str]) -> int | None:
    """Which label an answer's phrase repeats; a single label is meant whatever the answer calls it."""
    if len(labels) == 1:
        return 0
    folded = [label.casefold() for label in labels]
    return folded.index(phrase.casefold()) if phrase.casefold() in folded else None

"""A METEOR-like score: METEOR of Banerjee and Lavie (2005) with exact and stem matches.

WordNet's synonyms, which the full METEOR also matches, and the later parameters tuned to human judgement are
left out, so these figures are a little lower than published ones and not to be put beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fo1.evaluation.cider import words

_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("ly", ""), ("es", ""), ("s", ""))
_SHORTEST_STEM = 3


def meteor(caption: str, references: Sequence[str]) -> float:
    """The best over the references, from 0 to 1: F · (1 - ½ (chunks / matches)³), F = 10PR / (R + 9P).

    chunks: runs of matched words that stand in the same order in both.
    """
    mine = words(caption)
    return max((_score(mine, words(reference)) for reference in references), default=0.0)


def stem(word: str) -> str:
    """The word without a common English ending."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)] + instead
    return word


def _score(mine: list[str], theirs: list[str]) -> float:
    places = _aligned(mine, theirs)
    matches = sorted(places)
    if not matches:
        return 0.0
    follows = sum(
        later == earlier + 1 and places[later] == places[earlier] + 1
        for earlier, later in zip(matches, matches[1:], strict=False)
    )
    chunks = len(matches) - follows
    precision, recall = len(matches) / len(mine), len(matches) / len(theirs)
    mean = 10 * precision * recall / (recall + 9 * precision)
    return mean * (1 - 0.5 * (chunks / len(matches)) ** 3)


def _aligned(mine: list[str], theirs: list[str]) -> dict[int, int]:
    """Each word's place in the reference, each place once: exact matches first, then stems.

    Where a word stands there twice, the place that goes on from the word before is taken, else the first.
    """
    places: dict[int, int] = {}
    forms: tuple[Callable[[str], str], ...] = (str, stem)
    for form in forms:
        for place, word in enumerate(mine):
            free = [
                i for i, other in enumerate(theirs) if form(other) == form(word) and i not in places.values()
            ]
            if place not in places and free:
                after = places.get(place - 1, -2) + 1
                places[place] = after if after in free else free[0]
    return places

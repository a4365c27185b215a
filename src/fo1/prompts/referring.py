"""`refer`: a phrase that tells one of several things apart → what it is called, and what tells it apart."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

Order = Literal["left", "right", "top", "bottom", "middle", "biggest", "smallest"]
"""By what things are put in a row."""
Relation = Literal["left", "right", "above", "below", "near"]
"""Where one thing is, as seen from another."""


@dataclass(frozen=True)
class Reference:
    """ "the second cup from the top left": things called "cup", of which the second in this order is meant.

    orders: several are weighed together; none, if all that tells it apart is what it is next to.
    rank: 1 is the first. relation, other: of "the cup left of the plate".
    """

    what: str
    orders: tuple[Order, ...] = ()
    rank: int = 1
    relation: Relation | None = None
    other: str = ""


_SIDES = {
    "left": "left leftmost lefthand",
    "right": "right rightmost righthand",
    "top": "top topmost upper uppermost highest",
    "bottom": "bottom bottommost lower lowermost lowest",
    "middle": "middle centre center central",
}
_SIZES = {"biggest": "biggest largest", "smallest": "smallest tiniest littlest"}
_ORDERS = {word: order for order, words in (_SIDES | _SIZES).items() for word in words.split()}
_RANKS = {word: rank for rank, word in enumerate("first second third fourth fifth".split(), 1)}
_RELATIONS = {
    "left": r"(?:(?:to|on) the )?left of",
    "right": r"(?:(?:to|on) the )?right of",
    "above": "above|over|on top of",
    "below": "below|under|beneath|underneath",
    "near": "(?:right )?(?:next to|beside|near|nearest to|closest to|close to)",
}
_SIDE = "|".join(word for words in _SIDES.values() for word in words.split())
_WHAT = r"(?P<what>.+?),?(?: (?:that|which|who) is)?"
_BEHIND = re.compile(
    rf"{_WHAT} (?:on|at|in|from|to|towards)(?: the)?(?: (?:far|very))?"
    rf" (?P<sides>(?:{_SIDE})(?: (?:{_SIDE}))?)"
    r"(?: (?:side|corner|half|edge|end|part))?(?: (?:of|in)(?: the)? (?:image|picture|photo))?",
    re.IGNORECASE,
)
_BESIDE = [
    (
        cast(Relation, relation),
        re.compile(rf"{_WHAT} (?:{words}) (?:(?:the|an?) )?(?P<other>.+)", re.IGNORECASE),
    )
    for relation, words in _RELATIONS.items()
]


def refer(phrase: str, known: Collection[str] = ()) -> Reference | None:
    """Reads English words of place, size and order around what a thing is called.

    "the left cup", "the cup on the left", "the second biggest dog", "the third car from the right", "the cup
    next to the plate". known: names that contain such words, as "top hat" does, in lower case.
    None for a phrase without such words, or with nothing else.
    """
    said = re.sub(r"(?<=\w)-(?=most\b|hand\b)", "", phrase, flags=re.IGNORECASE)  # left-most
    said = re.sub(rf"\b({_SIDE})-(?={_SIDE})", r"\1 ", said, flags=re.IGNORECASE)  # top-left
    said = re.sub(r"^(?:the|an?) ", "", said, flags=re.IGNORECASE)
    if behind := _BEHIND.fullmatch(said):
        return _read(behind["what"], behind["sides"].lower().split(), known)
    for relation, words in _BESIDE:
        if beside := words.fullmatch(said):
            own = _read(beside["what"], [], known) or Reference(beside["what"])
            return Reference(own.what, own.orders, own.rank, relation, beside["other"])
    return _read(said, [], known)


def _read(said: str, behind: list[str], known: Collection[str]) -> Reference | None:
    """Words in front of what it is called, and those from behind it."""
    words, before = said.split(), list[str]()
    while words and words[0].lower() in (*_ORDERS, *_RANKS) and " ".join(words).lower() not in known:
        before.append(words.pop(0).lower())
    orders = [cast(Order, _ORDERS[word]) for word in (*before, *behind) if word in _ORDERS]
    ranks = [_RANKS[word] for word in before if word in _RANKS]
    if not words or words[0] == "of" or not before + behind:
        return None
    return Reference(" ".join(words), tuple(dict.fromkeys(orders)) or ("left",), (ranks or [1])[0])

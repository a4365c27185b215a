"""`refer`: a phrase that tells one of several things apart → what it is called, and what tells it apart."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from fo1.colours import COLOURS, Colour

Order = Literal["left", "right", "top", "bottom", "middle", "biggest", "smallest"]
"""By what things are put in a row."""
Relation = Literal["left", "right", "above", "below", "behind", "before", "near"]
"""Where one thing is, as seen from another."""


@dataclass(frozen=True)
class Reference:
    """ "the second cup from the top left": things called "cup", of which the second in this order is meant.

    orders: several are weighed together; none, if all that tells it apart is what it is next to.
    rank: 1 is the first. relation, other: of "the cup left of the plate". colour: of "the red cup".
    """

    what: str
    orders: tuple[Order, ...] = ()
    rank: int = 1
    relation: Relation | None = None
    other: str = ""
    colour: Colour | None = None


_SIDES = {
    "left": "left leftmost lefthand",
    "right": "right rightmost righthand",
    "top": "top topmost upper uppermost highest",
    "bottom": "bottom bottommost lower lowermost lowest",
    "middle": "middle centre center central",
}
_SIZES = {"biggest": "biggest largest", "smallest": "smallest tiniest littlest"}
_ORDERS = {word: cast(Order, order) for order, words in (_SIDES | _SIZES).items() for word in words.split()}
_RANKS = {
    word: rank
    for words in ("first second third fourth fifth", "1st 2nd 3rd 4th 5th")
    for rank, word in enumerate(words.split(), 1)
}
_COLOURS: dict[str, Colour] = {**{colour: colour for colour in COLOURS}, "gray": "grey"}
_RELATIONS = {
    "left": r"(?:(?:to|on) the )?left of",
    "right": r"(?:(?:to|on) the )?right of",
    "above": "above|over|on top of",
    "below": "below|under|beneath|underneath",
    "behind": "behind",
    "before": "in front of|before",
    "near": "(?:right )?(?:next to|beside|near|nearest to|closest to|close to)",
}
_SIDE = "|".join(word for words in _SIDES.values() for word in words.split())
_WHAT = r"(?P<what>.+?),?(?: (?:that|which|who) is)?"
_BEHIND = re.compile(
    rf"{_WHAT} (?:on|at|in|from|to|towards)(?: the)?(?: (?:far|very))?"
    rf" (?P<sides>(?:{_SIDE})(?: (?:{_SIDE}))?)"
    r"(?: (?:side|corner|half|edge|end|part))?",
    re.IGNORECASE,
)
_PICTURE = re.compile(r" (?:of|in)(?: the)? (?:image|picture|photo)$", re.IGNORECASE)
_NOTHING = {"of", "and", "or", "from", "to", "in", "on"}  # nothing is called so: "left of the dog"
_NOWHERE = {"there", "here", *_SIDE.split("|")}
_BESIDE = [
    (
        cast(Relation, relation),
        re.compile(rf"{_WHAT} (?:{words}) (?:(?:the|an?) )?(?P<other>.+)", re.IGNORECASE),
    )
    for relation, words in _RELATIONS.items()
]


def refer(phrase: str, known: Collection[str] = (), colours: bool = True) -> Reference | None:
    """Reads English words of place, size, order and colour around what a thing is called.

    "the left cup", "the cup on the left", "the second biggest dog", "the third red car from the right", "the
    cup next to the plate". known: names that contain such words, as "top hat" does, in lower case. colours:
    are they words like that, or part of the name?
    None for a phrase that is nothing but what a thing is called; its article alone goes, too.
    """
    said = re.sub(r"(?<=\w)-(?=most\b|hand\b)", "", phrase, flags=re.IGNORECASE)  # left-most
    said = re.sub(rf"\b({_SIDE})-(?={_SIDE})", r"\1 ", said, flags=re.IGNORECASE)  # top-left
    said = _PICTURE.sub("", re.sub(r"^(?:the|an?) ", "", said, flags=re.IGNORECASE))
    before = {*_ORDERS, *_RANKS, *(_COLOURS if colours else ())}
    relation, body, other = _beside(said)
    behind = _BEHIND.fullmatch(body)
    sides = behind["sides"].lower().split() if behind else []
    found = _read(behind["what"] if behind else body, before, known, sides)
    found = replace(found, relation=relation, other=other)
    return None if found == Reference(phrase) else found


def _beside(said: str) -> tuple[Relation | None, str, str]:
    """How the thing stands to another, what is said of it, and the other; or all of what is said."""
    for relation, words in _BESIDE:
        match = words.fullmatch(said)
        if match and match["other"].lower() not in _NOWHERE:
            return relation, match["what"], match["other"]
    return None, said, ""


def _read(said: str, before: Collection[str], known: Collection[str], behind: Sequence[str]) -> Reference:
    """Takes words off the front of what it is called, if they are in `before`. behind: words from behind."""
    words, taken = said.split(), list[str]()
    while len(words) > 1 and words[0].lower() in before and " ".join(words).lower() not in known:
        taken.append(words.pop(0).lower())
    if not words or words[0].lower() in _NOTHING:
        return Reference(said)
    ranks = [_RANKS[word] for word in taken if word in _RANKS]
    orders = [_ORDERS[word] for word in (*taken, *behind) if word in _ORDERS]
    colours = [_COLOURS[word] for word in taken if word in _COLOURS]
    return Reference(
        " ".join(words),
        tuple(dict.fromkeys(orders or ["left"] * len(ranks))),
        rank=ranks[0] if ranks else 1,
        colour=colours[0] if colours else None,
    )

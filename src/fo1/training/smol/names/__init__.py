"""Which words may name one thing: synonyms, broader words, look-alikes and hold-out.

The tables are the JSON files beside this module. `stamps`, `emoji`, `openclipart` and `furniture` map
a name to the files of that source that show it ("path attribute attribute …"); `related` says how
names hang together, so that a training question never denies what is there: with an orange in the
scene "fruit" is not absent, with a man in it neither is "hand".
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

HOLD_OUT_SHARE = 0.12

# Everyday words a user surely asks for: always trained on, whatever their hash says.
EVERYDAY = frozenset(
    " ".join(
        """
    airplane, apple, armchair, backpack, balloon, banana, baseball, basketball, bear, bed, bench,
    bicycle, bird, blueberry, boat, book, bottle, bowl, boy, bread, broccoli, bus, cake, camera,
    candle, car, carrot, cat, cell phone, chair, cherry, chicken, clock, coffee cup, computer mouse,
    corn, couch, cow, cup, dog, door, doughnut, elephant, eye, fire hydrant, fish, flower, fork,
    frog, giraffe, girl, glass, glasses, grapes, hamburger, hammer, hand, hat, helicopter, horse,
    hot dog, house, keyboard, kite, kiwi, knife, lamp, laptop, lemon, lettuce, lime, man, microwave,
    motorcycle, mug, mushroom, onion, orange, oven, peach, pear, pen, pencil, penguin,
    person, pineapple, pizza slice, plate, plum, potted plant, refrigerator, remote control, rocket,
    sandwich, scissors, sheep, shirt, shoe, sink, skateboard, ski, sneaker, snowboarder, soccer
    ball, spoon, stop sign, strawberry, suitcase, sunglasses, surfboard, table, tangerine, tea cup,
    teddy bear, telephone, television, tennis ball, tennis racket, toilet, tomato, toothbrush,
    traffic light, train, tree, truck, umbrella, vase, watermelon, wine glass, woman, zebra
    """.split()
    ).split(", ")
)


def table(stem: str) -> dict[str, list[str]]:
    """Name → files of one source: "stamps", "emoji", "openclipart" or "furniture".

    Raises `FileNotFoundError` for another stem.
    """
    names: dict[str, list[str]] = _read(stem)
    return names


def _read(stem: str) -> Any:
    return json.loads(resources.files(__name__).joinpath(f"{stem}.json").read_text("utf-8"))


@cache
def _related() -> dict[str, Any]:
    related: dict[str, Any] = _read("related")
    return related


@cache
def _category_of() -> dict[str, str]:
    return {name: category for category, entry in _related()["categories"].items() for name in entry["names"]}


def category(name: str) -> str | None:
    """The one category a known name was put in ("orange" → "fruit"), else None."""
    return _category_of().get(name)


def synonyms(name: str) -> tuple[str, ...]:
    """Other everyday words for the same thing, each fit to stand in for it in a question."""
    return tuple(_related()["synonyms"].get(name, ()))


@cache
def hypernyms(name: str) -> tuple[str, ...]:
    """Broader words that are true of it, nearest first ("armchair" → "chair", "furniture")."""
    found: list[str] = []
    pending = list(_related()["is_a"].get(name, ()))
    while pending:
        word = pending.pop(0)
        if word not in found:
            found.append(word)
            pending += _related()["is_a"].get(word, ())
    for word in (name, *found):
        own = category(word)
        broader = _related()["categories"][own]["hypernyms"] if own else ()
        found += [b for b in broader if b not in found and b != name]
    return tuple(found)


def siblings(name: str) -> tuple[str, ...]:
    """Other names of its category that do not conflict with it: hard negatives."""
    own = category(name)
    names = _related()["categories"][own]["names"] if own else ()
    return tuple(other for other in names if not conflicts(name, other))


@cache
def _same(name: str) -> frozenset[str]:
    """The name, its synonyms and everything one could mistake for it or call alike."""
    groups = _related()["alike"]
    alike = (group for group in groups if group[0] == name or (len(group) == 2 and name in group))
    return frozenset({name, *synonyms(name)}.union(*alike))


@cache
def _true_of(name: str) -> frozenset[str]:
    """Every word that may not be denied when `name` is in the picture."""
    words = set(_same(name))
    for word in tuple(words):
        words |= {broader for broader in hypernyms(word)}
    own = category(name)
    if own:
        words |= set(_related()["categories"][own]["parts"])
    return frozenset(words)


def conflicts(name_a: str, name_b: str) -> bool:
    """Whether one of the words may be true of what the other names.

    True for the same word, synonyms, look-alikes, a broader word of the other, and a part of the other;
    then neither is a safe "absent" label for a scene with the other. Symmetric. Unknown words conflict
    only with themselves, their plural, and phrases that end in them ("cup" with "coffee cup").
    """
    a, b = _singular(name_a.strip().lower()), _singular(name_b.strip().lower())
    if a == b or a.endswith(" " + b) or b.endswith(" " + a):
        return True
    return b in _true_of(a) or a in _true_of(b) or bool(_same(a) & _same(b))


def _singular(word: str) -> str:
    if word in _category_of() or not word.endswith("s"):
        return word
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + instead in _category_of():
            return word[: -len(ending)] + instead
    return word


def held_out(name: str) -> bool:
    """Whether this name never appears in training, as target or as word: a fixed eighth by its hash.

    Everyday names are never held out. Depends on nothing but the word.
    """
    if name in EVERYDAY:
        return False
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < HOLD_OUT_SHARE

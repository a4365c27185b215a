"""`plural`: English plurals of labels, for "How many … are there"."""

from __future__ import annotations

import re

_ODD = {
    **{"person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet"},
    **{"tooth": "teeth", "goose": "geese", "mouse": "mice", "ox": "oxen", "die": "dice", "leaf": "leaves"},
    **{"knife": "knives", "wolf": "wolves", "loaf": "loaves", "shelf": "shelves", "calf": "calves"},
    **{"scarf": "scarves", "half": "halves", "potato": "potatoes", "tomato": "tomatoes", "bus": "buses"},
    **{"wife": "wives", "life": "lives", "elf": "elves", "hero": "heroes", "mango": "mangoes"},
}
_SAME = {"sheep", "fish", "deer", "aircraft", "people", "broccoli", "cattle", "luggage", "food", "bread"}
_WORDS = re.compile(r"[A-Za-z]+(?:[ -][A-Za-z]+)*")


def plural(label: str) -> str | None:
    """The label for several; None if it cannot be told, say of "bow (ribbon)" or "scissors"."""
    if not _WORDS.fullmatch(label):
        return None
    start, last = re.fullmatch(r"(.*?)([A-Za-z]+)", label).groups()  # type: ignore[union-attr]
    word = last.lower()
    for odd, several in _ODD.items():
        # "fireman", but not "german"
        if word == odd or (
            odd in ("man", "woman") and word in ("fireman", "policeman", "policewoman", "snowman")
        ):
            return f"{start}{last[: len(word) - len(odd)]}{several}"
    if word in _SAME:
        return label
    if word.endswith("s") and not word.endswith(("ss", "us")):
        return None
    if re.search(r"(?:s|x|z|ch|sh)$", word):
        return label + "es"
    if re.search(r"[^aeiou]y$", word):
        return label[:-1] + "ies"
    return label + "s"

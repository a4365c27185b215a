from __future__ import annotations

import pytest

from fo1.encoders import names
from fo1.prompts.referring import Reference, refer


@pytest.mark.parametrize(
    ("phrase", "reference"),
    [
        ("the left cup", Reference("cup", ("left",))),
        ("Leftmost coffee cup", Reference("coffee cup", ("left",))),
        ("the left-most Cup", Reference("Cup", ("left",))),
        ("the top-left cup", Reference("cup", ("top", "left"))),
        ("the cup in the bottom right corner", Reference("cup", ("bottom", "right"))),
        ("the cup on the right side of the image", Reference("cup", ("right",))),
        ("the cup that is at the far left", Reference("cup", ("left",))),
        ("the middle cup", Reference("cup", ("middle",))),
        ("the second biggest dog", Reference("dog", ("biggest",), 2)),
        ("the smallest dog on the left", Reference("dog", ("smallest", "left"))),
        ("third car from the right", Reference("car", ("right",), 3)),
        ("the 2nd car", Reference("car", ("left",), 2)),
        ("the first car", Reference("car", ("left",))),
        ("the cup to the left of the plate", Reference("cup", (), 1, "left", "plate")),
        ("cup left of a plate", Reference("cup", (), 1, "left", "plate")),
        ("the lamp over the table", Reference("lamp", (), 1, "above", "table")),
        ("the cat that is under the left chair", Reference("cat", (), 1, "below", "left chair")),
        ("the orange behind the apple", Reference("orange", (), 1, "behind", "apple")),
        ("the man in front of the car", Reference("man", (), 1, "before", "car")),
        ("the biggest dog next to the man", Reference("dog", ("biggest",), 1, "near", "man")),
        ("the cup", Reference("cup")),
        ("a copyright sign", Reference("copyright sign")),
        ("the leftmost cup in the image", Reference("cup", ("left",))),
        ("the cup on the left of the image", Reference("cup", ("left",))),
        (
            "the second red car from the left next to the tree",
            Reference("car", ("left",), 2, "near", "tree", "red"),
        ),
        ("the cup on the left next to the plate", Reference("cup", ("left",), 1, "near", "plate")),
        ("the man over there", Reference("man over there")),
        ("the black and white cat", Reference("black and white cat")),
        ("the third from left cup", Reference("third from left cup")),
        ("the red cup", Reference("cup", colour="red")),
        ("a gray cat", Reference("cat", colour="grey")),
        ("the second red car from the left", Reference("car", ("left",), 2, colour="red")),
        ("the biggest orange fish", Reference("fish", ("biggest",), colour="orange")),
        ("the left orange", Reference("orange", ("left",))),
        ("the blue cup beside the plate", Reference("cup", (), 1, "near", "plate", "blue")),
        ("the man in the red shirt on the right", Reference("man in the red shirt", ("right",))),
    ],
)
def test_what_and_which(phrase: str, reference: Reference) -> None:
    assert refer(phrase) == reference


@pytest.mark.parametrize(
    "phrase",
    ["cup", "redcurrant", "orange", "cat on the sofa", "leftmost", "left of the dog", "左边的杯子", ""],
)
def test_nothing_tells_it_apart(phrase: str) -> None:
    assert refer(phrase) is None


def test_known_names_are_left_whole() -> None:
    assert refer("the top hat", {"top hat"}) == Reference("top hat")
    assert refer("the left top hat", {"top hat"}) == Reference("top hat", ("left",))
    known = {name.lower() for name in names.known()}
    for name in ("red panda", "brown bear", "red wine"):
        assert refer(name, known) is None
    assert refer("the top hat") == Reference("hat", ("top",))

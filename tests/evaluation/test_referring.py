from __future__ import annotations

import numpy as np
import pytest

from fo1.evaluation.referring import WORDS, referrals

SIZE = (200, 100)
SMALL_LEFT, BIG_RIGHT = [0, 50, 10, 60], [100, 0, 160, 60]
MEANT = {
    "left": SMALL_LEFT,
    "right": BIG_RIGHT,
    "top": BIG_RIGHT,
    "bottom": SMALL_LEFT,
    "biggest": BIG_RIGHT,
    "smallest": SMALL_LEFT,
}


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def phrases(things: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """What any seed makes of them."""
    made = [referrals(things, SIZE, np.random.default_rng(seed)) for seed in range(60)]
    return {one.phrase: one.box.tolist() for several in made for one in several}


def test_every_word_means_the_right_one() -> None:
    assert set(MEANT) == set(WORDS)
    assert phrases({"cup": boxes(SMALL_LEFT, BIG_RIGHT)}) == {
        f"the {word} cup": box for word, box in MEANT.items()
    }


def test_only_names_of_several_things_get_a_phrase() -> None:
    made = referrals(
        {"cup": boxes(SMALL_LEFT), "fork": boxes(SMALL_LEFT, BIG_RIGHT)}, SIZE, np.random.default_rng(0)
    )
    assert len(made) == 1 and made[0].phrase.endswith(" fork")


def test_a_word_that_fits_two_alike_is_not_used() -> None:
    # Side by side, of one size and height: neither is the top, bottom, biggest or smallest one.
    assert set(phrases({"cup": boxes([0, 0, 20, 20], [100, 0, 120, 20])})) == {
        "the left cup",
        "the right cup",
    }
    # The two leftmost are 8 of 200 pixels apart, less than a twentieth; the right one is far away.
    near = boxes([0, 0, 20, 20], [8, 0, 28, 20], [100, 0, 120, 20])
    assert set(phrases({"cup": near})) == {"the right cup"}


def test_two_of_the_same_get_none() -> None:
    assert phrases({"cup": boxes([0, 0, 20, 20], [0, 0, 20, 20])}) == {}


@pytest.mark.parametrize(("side", "clear"), [(28, True), (21, False)])
def test_how_much_bigger_is_the_biggest(side: int, clear: bool) -> None:
    cups = boxes([0, 0, 20, 20], [0, 0, side, side])
    assert ("the biggest cup" in phrases({"cup": cups})) is clear

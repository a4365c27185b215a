from __future__ import annotations

import pytest

from fo1.training.smol.names import (
    EVERYDAY,
    category,
    conflicts,
    held_out,
    hypernyms,
    siblings,
    synonyms,
    table,
)

NAMES = sorted(set().union(*(table(stem) for stem in ("stamps", "emoji", "openclipart", "furniture"))))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("orange", "orange"),
        ("orange", "oranges"),
        ("orange", "fruit"),
        ("orange", "food"),
        ("car", "automobile"),
        ("taxi", "vehicle"),
        ("woman", "person"),
        ("firefighter", "man"),
        ("man", "hand"),
        ("car", "wheel"),
        ("mouse", "computer mouse"),
        ("coffee cup", "tea cup"),
        ("couch", "sofa"),
        ("armchair", "chair"),
        ("unheard of gadget", "gadget"),
    ],
)
def test_a_word_that_may_be_true_conflicts(one: str, other: str) -> None:
    assert conflicts(one, other) and conflicts(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("orange", "apple"),
        ("cat", "dog"),
        ("man", "woman"),
        ("car", "bus"),
        ("hammer", "banana"),
        ("cup", "fork"),
    ],
)
def test_different_things_do_not_conflict(one: str, other: str) -> None:
    assert not conflicts(one, other) and not conflicts(other, one)


def test_every_name_has_a_category_and_is_a_plain_phrase() -> None:
    assert len(NAMES) > 1000
    for name in NAMES:
        assert category(name) is not None
        assert name == name.lower().strip() and len(name.split()) <= 4


def test_siblings_are_safe_negatives() -> None:
    near = siblings("orange")
    assert "apple" in near and "orange" not in near and "tangerine" not in near
    assert not any(conflicts("orange", other) for other in near)


def test_broader_words_come_nearest_first() -> None:
    assert hypernyms("armchair") == ("chair", "furniture")
    assert "animal" in hypernyms("poodle") and hypernyms("poodle")[0] == "dog"
    assert "sofa" in synonyms("couch")


def test_about_an_eighth_is_held_out_and_nothing_everyday() -> None:
    held = [name for name in NAMES if held_out(name)]
    assert 0.08 < len(held) / len(NAMES) < 0.16
    assert not EVERYDAY & set(held)
    assert not any(held_out(name) for name in ("orange", "apple", "cat", "cup", "person", "motorcycle"))

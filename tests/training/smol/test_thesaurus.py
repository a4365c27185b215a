from __future__ import annotations

import pytest

from fo1.training.smol.names import conflicts, held_out, hypernyms, siblings, synonyms, table
from fo1.training.smol.thesaurus import Thesaurus

NAMES = sorted(set().union(*(table(stem) for stem in ("stamps", "emoji", "openclipart", "furniture"))))


@pytest.fixture(scope="module")
def thesaurus() -> Thesaurus:
    return Thesaurus()


def test_held_out_words_never_come_out(thesaurus: Thesaurus) -> None:
    hidden = {
        w for name in NAMES for w in (*synonyms(name), *hypernyms(name), *siblings(name)) if held_out(w)
    }
    assert hidden, "the tables have held-out words that must be kept back"
    for name in NAMES:
        assert not hidden & {*thesaurus.wider(name), *thesaurus.siblings(name)}


def test_whatever_fits_a_thing_is_never_denied(thesaurus: Thesaurus) -> None:
    for name in NAMES:
        assert all(thesaurus.conflicts(word, name) for word in (name, *thesaurus.wider(name)))
        assert not any(thesaurus.conflicts(word, name) for word in thesaurus.siblings(name))


@pytest.mark.parametrize(
    ("label", "name", "fits"),
    [
        ("orange", "orange", True),
        ("fruit", "orange", True),
        ("food", "orange", True),
        ("chair", "armchair", True),
        ("armchair", "chair", False),
        ("apple", "orange", False),
        ("wheel", "car", False),
        ("gadget", "gadget", True),
    ],
)
def test_a_label_fits_its_own_kind_and_narrower_ones(
    thesaurus: Thesaurus, label: str, name: str, fits: bool
) -> None:
    assert thesaurus.matches(label, name) is fits


def test_wider_words_come_once_and_without_the_name(thesaurus: Thesaurus) -> None:
    for name in NAMES:
        words = thesaurus.wider(name)
        assert len(words) == len(set(words)) and name not in words


def test_it_says_the_same_as_the_tables_and_the_second_time_from_memory(thesaurus: Thesaurus) -> None:
    pairs = [(a, b) for a in NAMES[::60] for b in NAMES[::45]]
    for _ in range(2):
        assert [thesaurus.conflicts(a, b) for a, b in pairs] == [conflicts(a, b) for a, b in pairs]
    assert thesaurus.conflicts.cache_info().hits >= len(pairs)

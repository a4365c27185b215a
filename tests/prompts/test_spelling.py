from __future__ import annotations

import pytest
from tokenizers import AddedToken

from fo1.prompts.spelling import Spelling
from fo1.prompts.vocabulary import RegionVocabulary
from tiny import byte_tokenizer


def spelling(*more: str) -> tuple[Spelling, RegionVocabulary]:
    """Of a byte tokenizer with some longer words."""
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken(word, special=False) for word in more])
    vocabulary = RegionVocabulary.extend(tokenizer, 10)
    regions = range(vocabulary.first_region, vocabulary.first_region + 10)
    return Spelling(tokenizer, {*regions, *vocabulary.tags.values()}), vocabulary


def completing(known: Spelling, *tokens: str) -> list[str]:
    """What would complete a tag after these tokens."""
    begun: tuple[int, ...] = ()
    for token in tokens:
        for number in known.tokenizer(token, add_special_tokens=False, split_special_tokens=True).input_ids:
            begun = known.begun(begun, number)
    return sorted(str(known.tokenizer.decode([i])) for i in known.completing(begun))


@pytest.mark.parametrize(
    "text", ["<region3", "x <region12", "<objects", "< /  ground", "</objects ", "<<ground"]
)
def test_what_completes_a_tag(text: str) -> None:
    assert completing(spelling()[0], text) == [">"]


@pytest.mark.parametrize("text", ["", "region3", "<region", "<region3x", "<div", "<b>ground", "a < b and c"])
def test_what_cannot_become_a_tag_is_free(text: str) -> None:
    assert completing(spelling()[0], text) == []


def test_longer_tokens_are_looked_into() -> None:
    """Of `3>`, `>.` and `ts>` each completes another beginning; one that is a tag by itself is always out."""
    known, _ = spelling("3>", ">.", "ts>", " <ground>")
    always = " <ground>"
    assert completing(known, "<region1") == sorted([always, "3>", ">", ">."])
    assert completing(known, "<objec") == sorted([always, "ts>"])
    assert completing(known, "hello") == [always]


def test_tags_themselves_are_no_spelling() -> None:
    known, vocabulary = spelling()
    assert not set(vocabulary.tags.values()) & set(known.completing(()))
    for tag in vocabulary.tags.values():
        assert known.begun((), tag) == ()

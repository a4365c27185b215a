from __future__ import annotations

import pytest
from tokenizers import AddedToken

from fo1.errors import PromptError
from fo1.prompts.vocabulary import IMAGE_SLOT, REGION_SLOT, TAGS, RegionVocabulary, region_name
from tiny import byte_tokenizer


def test_tokens_follow_the_bases_own_in_one_run() -> None:
    tokenizer = byte_tokenizer()
    vocabulary = RegionVocabulary.extend(tokenizer, 20)
    assert (vocabulary.first_region, vocabulary.capacity) == (258, 20)
    assert [vocabulary.region(i) for i in range(20)] == list(range(258, 278))
    assert list(vocabulary.tags) == list(TAGS) and list(vocabulary.tags.values()) == list(range(278, 284))
    assert (vocabulary.image_slot, vocabulary.region_slot) == (284, 285)
    assert vocabulary.added == range(258, 286)
    assert len(tokenizer) == 286


def test_slots_are_read_but_never_predicted() -> None:
    vocabulary = RegionVocabulary.extend(byte_tokenizer(), 20)
    assert vocabulary.size == 258 + 20 + len(TAGS)
    assert vocabulary.size <= min(vocabulary.image_slot, vocabulary.region_slot)


def test_every_token_is_one_id_in_our_own_text() -> None:
    tokenizer = byte_tokenizer()
    vocabulary = RegionVocabulary.extend(tokenizer, 20)
    for word in [region_name(0), region_name(1), region_name(12), *TAGS, IMAGE_SLOT, REGION_SLOT]:
        assert tokenizer(word, add_special_tokens=False).input_ids == [tokenizer.convert_tokens_to_ids(word)]
    assert tokenizer.decode([vocabulary.region(12)]) == "<region12>"


def test_extending_twice_changes_nothing() -> None:
    tokenizer = byte_tokenizer()
    assert RegionVocabulary.extend(tokenizer, 20) == RegionVocabulary.extend(tokenizer, 20)
    assert len(tokenizer) == 286


def test_without_an_image_slot() -> None:
    vocabulary = RegionVocabulary.extend(byte_tokenizer(), 20, image_slot=False)
    assert (vocabulary.image_slot, vocabulary.region_slot, vocabulary.size) == (None, 284, 284)
    assert vocabulary.added == range(258, 285)


def test_tags_that_the_tokenizer_has_stay_where_they_are() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=False)])
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    vocabulary = RegionVocabulary.extend(tokenizer, 20, image_slot=False)
    assert [vocabulary.tags["<think>"], vocabulary.tags["</think>"]] == [258, 259]
    assert vocabulary.first_region == 261 and vocabulary.tags["<ground>"] == 281
    assert (vocabulary.size, vocabulary.region_slot, vocabulary.added) == (285, 285, range(261, 286))
    assert RegionVocabulary.extend(tokenizer, 20, image_slot=False) == vocabulary
    # What a user types is not a tag, even if the base's tokenizer thought so.
    typed = tokenizer("<think>", add_special_tokens=False, split_special_tokens=True).input_ids
    assert 258 not in typed


def test_a_tokenizer_with_some_of_the_regions_is_refused() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<region3>"], special_tokens=True)
    with pytest.raises(PromptError, match="not in one run"):
        RegionVocabulary.extend(tokenizer, 20)


@pytest.mark.parametrize("slot", [IMAGE_SLOT, REGION_SLOT])
def test_a_tokenizer_with_a_slot_is_refused(slot: str) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([slot], special_tokens=True)
    with pytest.raises(PromptError, match=slot):
        RegionVocabulary.extend(tokenizer, 20)


@pytest.mark.parametrize("index", [-1, 20, 1000])
def test_regions_beyond_the_capacity(index: int) -> None:
    with pytest.raises(ValueError, match=f"region {index} is outside the model's 20"):
        RegionVocabulary.extend(byte_tokenizer(), 20).region(index)

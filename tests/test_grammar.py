from __future__ import annotations

from functools import reduce

import pytest

from fo1.grammar import Grammar, State
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.tasks import AnswerKind
from fo1.prompts.vocabulary import RegionVocabulary
from tiny import byte_tokenizer

MUCH = 100


@pytest.fixture(scope="module")
def prompts() -> PromptBuilder:
    """Of a model that can name ten regions."""
    tokenizer = byte_tokenizer()
    return PromptBuilder(tokenizer, RegionVocabulary.extend(tokenizer, 10), ChatFormat())


def grammar(prompts: PromptBuilder, kind: AnswerKind, *labels: str, regions: int = 3) -> Grammar:
    return Grammar(prompts, [prompts.stop_id], regions, kind, labels)


def state(grammar: Grammar, prompts: PromptBuilder, said: str) -> State:
    return reduce(grammar.after, prompts.answer_text(said, 10), grammar.start)


def words(prompts: PromptBuilder, ids: set[int]) -> set[str]:
    return {prompts.tokenizer.decode([i]) for i in ids}


def allowed(
    prompts: PromptBuilder, kind: AnswerKind, said: str, *labels: str, left: int = MUCH, regions: int = 3
) -> set[str]:
    """What may follow."""
    rules = grammar(prompts, kind, *labels, regions=regions)
    choice = rules.choice(state(rules, prompts, said), left)
    ids = set(choice.ids.tolist())
    if not choice.only:
        ids = set(range(prompts.vocabulary.size)) - ids
    return words(prompts, ids - set(choice.never.tolist()))


def special(texts: set[str]) -> set[str]:
    """Of what may follow, all that is no plain letter."""
    return {text for text in texts if len(text) > 1 and "\ufffd" not in text}


R0, R1, R2 = "<region0>", "<region1>", "<region2>"
CUP, DOG = "<ground>cup</ground><objects>", "<ground>dog</ground><objects>"


@pytest.mark.parametrize(
    ("said", "next_ones"),
    [
        ("", {"<ground>"}),
        ("<ground>c", {"u"}),
        ("<ground>cup", {"</ground>"}),
        (CUP, {R0, R1, R2, "N", "</objects>"}),
        (CUP + R1, {R0, R2, "</objects>"}),
        (CUP + R1 + R0 + R2, {"</objects>"}),
        (CUP + "N", {"o"}),
        (CUP + "None", {"</objects>"}),
        (CUP + "</objects>", {"<ground>"}),
        (CUP + R2 + "</objects><ground>d", {"o"}),
        (CUP + "</objects>" + DOG, {R0, R1, R2, "N", "</objects>"}),  # also what the cup has
        (CUP + "</objects>" + DOG + "</objects>", {"<|im_end|>"}),
    ],
)
def test_what_may_follow_in_an_answer_to_labels(
    prompts: PromptBuilder, said: str, next_ones: set[str]
) -> None:
    assert allowed(prompts, "grounding", said, "cup", "dog") == next_ones


def test_labels_are_spelled_as_the_prompt_spells_them(prompts: PromptBuilder) -> None:
    """What is a region is one token; other tags in a label are letters."""
    rules = grammar(prompts, "grounding", "<region1><region7></ground>橙")
    (opening,) = rules.openings
    assert list(opening) == prompts.naming("<region1><region7></ground>橙", 3)
    assert opening.count(prompts.vocabulary.tags["</ground>"]) == 1
    place = rules.start
    for token in opening:
        assert rules.choice(place, MUCH).ids.tolist() == [token]
        place = rules.after(place, token)
    assert place.place == "list"


def test_without_regions_there_is_none(prompts: PromptBuilder) -> None:
    assert allowed(prompts, "grounding", CUP, "cup", regions=0) == {"N", "</objects>"}


def test_words_after_a_count(prompts: PromptBuilder) -> None:
    after = allowed(prompts, "grounding then text", CUP + R1 + "</objects>", "cup")
    assert special(after) == {"<|im_end|>", "<|im_start|>"} and len(after) > 100


@pytest.mark.parametrize(
    ("said", "tags"),
    [
        ("A cup ", {"<ground>", "<objects>", "<think>", "</think>", R0, R1, R2, "<|im_end|>"}),
        ("<ground>cup", {"</ground>", R0, R1, R2}),
        ("<ground>cup</ground>", {"<ground>", "<objects>", "<think>", "</think>", R0, R1, R2, "<|im_end|>"}),
        ("<think>so", {"<ground>", "<objects>", "</think>", R0, R1, R2}),
        ("<think><ground>a", {"</ground>", R0, R1, R2}),
    ],
)
def test_tags_in_a_text(prompts: PromptBuilder, said: str, tags: set[str]) -> None:
    after = allowed(prompts, "text", said)
    assert special(after) == tags | {"<|im_start|>"} - ({"<|im_end|>"} - tags)
    assert {"a", "<", ">"} <= after


def test_lists_in_a_text(prompts: PromptBuilder) -> None:
    assert allowed(prompts, "text", "A <objects>") == {R0, R1, R2, "N", "</objects>"}
    assert allowed(prompts, "text", "A <think><objects>" + R1) == {R0, R2, "</objects>"}
    again = allowed(prompts, "text", f"A <objects>{R1}</objects> <objects>")
    assert again == {R0, R1, R2, "N", "</objects>"}


@pytest.mark.parametrize("tag", ["<region9>", "<region2>", "</ground>", "< / objects >", "<objects>"])
def test_no_tag_is_spelled_in_letters(prompts: PromptBuilder, tag: str) -> None:
    rules = grammar(prompts, "text")
    place = reduce(rules.after, prompts.user_text(f"x < y {tag[:-1]}", 0), rules.start)
    banned = rules.choice(place, MUCH).never.tolist()
    assert words(prompts, set(banned)) == {">"}


@pytest.mark.parametrize("text", ["a < b", "<b", "<objects>"[:-2], "<region", "<region3 ", "objects", "<div"])
def test_other_letters_are_free(prompts: PromptBuilder, text: str) -> None:
    rules = grammar(prompts, "text")
    place = reduce(rules.after, prompts.user_text(text, 0), rules.start)
    assert not len(rules.choice(place, MUCH).never)


# Room that is left


@pytest.mark.parametrize(
    ("said", "left", "next_ones"),
    [
        ("", 1 + 3 + 2 + 1 + 6 + 1, {"<ground>"}),
        (CUP, 1 + 6 + 1, {"</objects>"}),
        (CUP, 2 + 6 + 1, {R0, R1, R2, "</objects>"}),
        (CUP, 5 + 6 + 1, {R0, R1, R2, "N", "</objects>"}),
        (CUP + R1, 1 + 6 + 1, {"</objects>"}),
        (CUP + "None</objects>" + DOG, 1, {"</objects>"}),
    ],
)
def test_lists_end_in_time(prompts: PromptBuilder, said: str, left: int, next_ones: set[str]) -> None:
    rules = grammar(prompts, "grounding", "cup", "dog")
    assert rules.needed(state(rules, prompts, said)) <= left
    assert allowed(prompts, "grounding", said, "cup", "dog", left=left) == next_ones


def test_texts_end_in_time(prompts: PromptBuilder) -> None:
    assert not {"<ground>", "<objects>", "<think>"} & allowed(prompts, "text", "A ", left=1)
    assert {"<ground>", "<objects>", "<think>"} <= allowed(prompts, "text", "A ", left=2)
    assert allowed(prompts, "text", "<think><ground>a", left=2) == {"</ground>"}
    assert allowed(prompts, "text", "<think><ground>a</ground>", left=1) == {"</think>"}
    assert "<objects>" not in allowed(prompts, "text", "<think>", left=2)
    assert allowed(prompts, "text", "<think><objects>", left=2) == {"</objects>"}


def test_needed_is_what_the_shortest_answer_takes(prompts: PromptBuilder) -> None:
    rules = grammar(prompts, "grounding", "cup", "dog", "橙")
    shortest = [*prompts.naming("cup", 3), *prompts.naming("dog", 3), *prompts.naming("橙", 3)]
    assert rules.needed(rules.start) == len(shortest) + 3
    assert grammar(prompts, "text").needed(State("text")) == 0


def test_what_may_not_stand_here_ends_the_answer(prompts: PromptBuilder) -> None:
    """Beams without any way on are filled up with such rows; they must not be taken for answers."""
    for said in ("cup", CUP + R1 + R1, CUP + "<region7>", CUP + R1 + "None", CUP + "Nobody"):
        assert allowed(prompts, "grounding", said, "cup") == {"<|im_end|>"}

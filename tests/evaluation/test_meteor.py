from __future__ import annotations

import pytest

from fo1.evaluation.meteor import meteor, stem


def test_the_same_sentence_loses_only_for_its_one_chunk() -> None:
    assert meteor("the cat sat", ["the cat sat"]) == pytest.approx(1 - 0.5 * (1 / 3) ** 3)


def test_by_hand() -> None:
    # Matched: the, cat, on, mat = 4 of 5 said, 4 of 6 in the reference; chunks: "the cat", "on", "mat".
    # (the second "the" of the reference stays free)
    precision, recall = 4 / 5, 4 / 6
    mean = 10 * precision * recall / (recall + 9 * precision)
    said = meteor("the cat jumped on mat", ["the cat sat on the mat"])
    assert said == pytest.approx(mean * (1 - 0.5 * (3 / 4) ** 3))


def test_order_counts() -> None:
    assert meteor("cat the", ["the cat"]) == pytest.approx(1 - 0.5), "two chunks of two matches"
    assert meteor("the cat", ["the cat"]) > meteor("cat the", ["the cat"])


def test_a_word_said_twice_goes_on_where_the_last_one_ended() -> None:
    # Both sentences are the same, so there is one chunk, although "a" stands there twice.
    assert meteor("a cat a dog", ["a cat a dog"]) == pytest.approx(1 - 0.5 * (1 / 4) ** 3)


def test_stems_match_where_words_do_not() -> None:
    assert meteor("dogs barking", ["dog barked"]) == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    assert [
        stem(word) for word in "cats berries walked grass is".split()
    ] == "cat berry walk grass is".split()


def test_the_best_reference_counts() -> None:
    assert meteor("a cat", ["a dog", "a cat"]) == meteor("a cat", ["a cat"])


@pytest.mark.parametrize(("said", "references"), [("", ["a"]), ("a", []), ("cat", ["dog"]), ("?", ["!"])])
def test_nothing_in_common_is_zero(said: str, references: list[str]) -> None:
    assert meteor(said, references) == 0

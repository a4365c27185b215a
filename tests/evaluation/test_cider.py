from __future__ import annotations

import math

import numpy as np
import pytest

from fo1.evaluation.cider import cider, words


def test_words_are_lower_case_without_marks() -> None:
    assert words("A brown-eyed dog, isn't it? (No. 7)") == "a brown-eyed dog isn't it no 7".split()


def test_two_images_by_hand() -> None:
    # Of two images, an n-gram of one has weight log 2, one of both has none.
    # "red cat" for "red dog": "red" is shared and in both images' references; nothing else agrees.
    # "red cat" for "red cat": 1-grams: cat / cat = 1; 2-grams: 1; 3- and 4-grams: none, 0. So 10 · 2 / 4.
    scores = cider(["red cat", "red cat"], [["red dog"], ["red cat"]])
    assert scores == pytest.approx([0.0, 5.0])


def test_rare_words_weigh_more_by_hand() -> None:
    # Weights, of three images: a: log 3/3 = 0; cat, dog: L = log 3, in one's references; big: l = log 3/2.
    # "a big dog" for "a big cat", equally long: the 1-grams (0, l, L) and (0, l, ·, L) share l² of l² + L²;
    # the 2-grams "a big" (weight l, in two images) and "big dog" against "big cat": again l² of l² + L².
    scores = cider(["a big dog", "a bird", "a big dog"], [["a big cat"], ["a bird"], ["a big dog"]])
    rare, common = math.log(3), math.log(3 / 2)
    share = common**2 / (common**2 + rare**2)
    assert scores[0] == pytest.approx(10 * (share + share) / 4)
    assert scores[2] == pytest.approx(10 * 3 / 4), "an exact match of three words has no 4-gram"


def test_a_wrong_length_and_repeated_words_cost() -> None:
    # Of "cat cat cat" only one cat counts: min(3, 1) · 1 / (3 · 1), and it is two words longer: exp(-4 / 72).
    scores = cider(["cat cat cat", "dog"], [["cat"], ["dog"]])
    assert scores[0] == pytest.approx(10 / 4 * math.exp(-4 / 72) / 3)


def test_the_mean_over_references() -> None:
    one, other = cider(["cat", "x"], [["cat"], ["x"]])[0], 0.0
    assert cider(["cat", "x"], [["cat", "dog"], ["x"]])[0] == pytest.approx((one + other) / 2)


@pytest.mark.parametrize(
    ("captions", "references"), [([], []), (["cat"], [["cat"]]), (["", "a"], [["b"], ["a"]]), (["a"], [[]])]
)
def test_nothing_to_compare_is_zero(captions: list[str], references: list[list[str]]) -> None:
    assert cider(captions, references)[:1] == [0.0][: len(captions)]


def literal(captions: list[str], references: list[list[str]]) -> list[float]:
    """The published formula over one dense vector of all n-grams."""

    def grams(text: str, size: int) -> list[tuple[str, ...]]:
        row = text.split()
        return [tuple(row[i : i + size]) for i in range(len(row) - size + 1)]

    totals = np.zeros(len(captions))
    for size in (1, 2, 3, 4):
        texts = [*captions, *(r for several in references for r in several)]
        axis = sorted({gram for text in texts for gram in grams(text, size)})
        present = [{g for r in several for g in grams(r, size)} for several in references]
        idf = np.array([math.log(len(references) / max(1, sum(g in p for p in present))) for g in axis])
        vector = {t: np.array([grams(t, size).count(g) for g in axis]) * idf for t in texts}
        for i, (caption, several) in enumerate(zip(captions, references, strict=True)):
            for reference in several:
                c, r = vector[caption], vector[reference]
                norms = np.linalg.norm(c) * np.linalg.norm(r)
                gap = len(caption.split()) - len(reference.split())
                if norms:
                    alike = np.minimum(c, r) @ r / norms * math.exp(-(gap**2) / 72)
                    totals[i] += 10 * alike / len(several) / 4
    return totals.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_random_sentences_as_the_formula_says(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def sentence() -> str:
        return " ".join(rng.choice(list("abcdefg"), rng.integers(1, 12)))

    captions = [sentence() for _ in range(8)]
    references = [[sentence() for _ in range(rng.integers(1, 5))] for _ in captions]
    assert cider(captions, references) == pytest.approx(literal(captions, references))

"""CIDEr-D (Vedantam et al., CVPR 2015, section 4 and its "D" variant): how captions agree with references.

For n-grams of n words, `g(s)` counts each n-gram of s, weighted by log(images / images whose references have
it). Then, averaged over n = 1 … 4 and over an image's references,

    CIDEr-D_n = 10 · exp(-(|c| - |r|)² / 2σ²) · min(g(c), g(r)) · g(r) / (‖g(c)‖ ‖g(r)‖),  σ = 6

Words are those of `words`; the published figures split with the Penn Treebank tokenizer, which differs a
little (it parts "don't" into two).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

LONGEST = 4
SIGMA = 6.0

Gram = tuple[str, ...]
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; "brown-eyed" and "don't" are one each."""
    return _WORD.findall(text.lower())


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each caption, from 0 to 10; the figure of a benchmark is their mean, often written × 100.

    references: those of each caption's image. How rare an n-gram is, is counted over all of them, so that one
    caption's score depends on the others' references; with a single image every score is 0.
    """
    sets = [[_grams(one) for one in several] for several in references]
    seen = Counter(chain.from_iterable(set().union(*several) for several in sets))
    rarity = {gram: math.log(len(sets) / count) for gram, count in seen.items()}
    unseen = math.log(max(len(sets), 1))
    return [
        _score(_grams(caption), several, rarity, unseen)
        for caption, several in zip(captions, sets, strict=True)
    ]


def _score(
    caption: Counter[Gram], references: Iterable[Counter[Gram]], rarity: Mapping[Gram, float], unseen: float
) -> float:
    scores = [_alike(caption, reference, rarity, unseen) for reference in references]
    return sum(scores) / len(scores) if scores else 0.0


def _alike(
    caption: Counter[Gram], reference: Counter[Gram], rarity: Mapping[Gram, float], unseen: float
) -> float:
    lengths = [sum(count for gram, count in one.items() if len(gram) == 1) for one in (caption, reference)]
    near = math.exp(-((lengths[0] - lengths[1]) ** 2) / (2 * SIGMA**2))
    total = 0.0
    for size in range(1, LONGEST + 1):
        mine, theirs = (
            {gram: count * rarity.get(gram, unseen) for gram, count in one.items() if len(gram) == size}
            for one in (caption, reference)
        )
        shared = sum(min(mine[gram], weight) * weight for gram, weight in theirs.items() if gram in mine)
        norms = math.hypot(*mine.values()) * math.hypot(*theirs.values())
        total += shared / norms if norms else 0.0
    return 10 * near * total / LONGEST


def _grams(text: str) -> Counter[Gram]:
    """How often each n-gram of one to four words occurs."""
    row = words(text)
    return Counter(
        tuple(row[i : i + size]) for size in range(1, LONGEST + 1) for i in range(len(row) - size + 1)
    )

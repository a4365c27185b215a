from __future__ import annotations

import torch

from fo1.data.exercise import Exercise


def test_places_are_those_before_words_and_at_picks() -> None:
    exercise = Exercise()
    question = exercise.tree.add([5, 6], exercise.tree.add([1, 2, 3]))
    exercise.write(question, [10, 11, 12], [True, False, True])
    exercise.pick(question, [20, 21], "cup", torch.ones(2))
    exercise.write(question, [30])
    assert exercise.words == [(4, 10), (6, 12), (4, 30)]
    assert exercise.picks[0][:2] == (9, "cup") and exercise.places == [9, 4, 6, 4]
    assert exercise.tree.answers == [False, False, True, True, True] and len(exercise) == 11

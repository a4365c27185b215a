from __future__ import annotations

import pytest

from fo1.errors import Fo1Error
from fo1.labeling.verdicts import Decision, Limits, Verdict, verdicts


def verdict(label: str, chances: dict[str, float], score: float = 0.5, **limits: float) -> Verdict:
    row = {"labels": [label], "scores": [{label: score}], "chances": [chances], "names": [[("mug", 0.4)]]}
    (only,) = verdicts(row, Limits(**limits))
    return only


def test_a_label_stays_that_holds_its_own_against_the_best_other() -> None:
    found = verdict("cup", {"cup": 0.1, "dog": 0.3, "cat": 0.05})
    assert (found.decision, found.final, found.right) == (Decision.accept, "cup", True)
    assert (found.confidence, found.other, found.chance) == (0.25, "dog", 0.3)
    assert found.names == (("mug", 0.4),)
    told = found.to_dict()
    assert told["decision"] == "accept" and told["final"] == "cup"
    assert told["names"] == [{"name": "mug", "chance": 0.4}]


def test_a_label_that_does_not_is_replaced_by_a_sure_one_and_else_rejected() -> None:
    sure = verdict("cup", {"cup": 0.001, "dog": 0.9})
    assert (sure.decision, sure.final) == (Decision.relabel, "dog")
    unsure = verdict("cup", {"cup": 0.001, "dog": 0.3, "cat": 0.3})
    assert (unsure.decision, unsure.final) == (Decision.reject, None)


def test_limits_move_it() -> None:
    assert verdict("cup", {"cup": 0.1, "dog": 0.3}, accept=0.3).decision is Decision.reject
    assert verdict("cup", {"cup": 0.1, "dog": 0.3}, accept=0.3, relabel=0.2).decision is Decision.relabel
    with pytest.raises(Fo1Error, match="limit accept must be from 0 to 1"):
        Limits(accept=2)


def test_a_right_label_on_nothing_is_rejected_not_renamed() -> None:
    row = {"labels": ["cup"], "scores": [{"cup": 0.01}], "chances": [{"cup": 0.9, "dog": 0.1}], "names": []}
    (only,) = verdicts(row, Limits(score=0.1, relabel=0.0))
    assert only.decision is Decision.reject


def test_without_another_class_the_score_decides() -> None:
    assert verdict("cup", {"cup": 1.0}, score=0.3).confidence == 0.3
    assert verdict("cup", {"cup": 1.0}, score=0.01).decision is Decision.reject

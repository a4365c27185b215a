"""`problems`: what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from fo1.data.problems import Problem, problems
from fo1.data.record import Record


def found(boxes: list[Any], *dialogues: list[str], size: list[int] | None = None) -> list[Problem]:
    """Problems of a record whose turns are written `role: text`."""
    talks = [[dict(zip(("role", "text"), t.split(": ", 1), strict=True)) for t in talk] for talk in dialogues]
    return list(problems(Record.from_json({"image": "a", "size": size, "boxes": boxes, "dialogues": talks})))


BOX = [0, 0, 10, 10]
FINE = ["user: what?", "assistant: this"]


def answer(text: str) -> list[str]:
    return [p.kind for p in found([BOX, BOX], ["user: what?", f"assistant: {text}"])]


def test_a_sound_record_has_none() -> None:
    talk = [
        "system: be brief",
        "user: a, b?",
        "assistant: <ground>a</ground><objects><region0><region1></objects>",
    ]
    more = ["user: <region1>?", "assistant: <ground>b</ground><objects>None</objects>"]
    assert found([BOX, [5, 5, 10.9, 20]], talk + more, FINE, size=[10, 20]) == []


@pytest.mark.parametrize(
    ("box", "size", "kind"),
    [
        ([5, 1, 4, 9], None, "box inverted"),
        ([1, 5, 4, 5], None, "box empty"),
        ([10, 0, 12, 5], [10, 10], "box outside"),
        ([10, 0, 12, 5], None, None),
        ([-9, -9, 0, 5], None, "box outside"),
        ([-2, 0, 5, 5], None, "box partly outside"),
        ([0, 0, 5, 12], [10, 10], "box partly outside"),
        ([-1, 0, 11, 5], [10, 10], None),
    ],
)
def test_boxes(box: list[float], size: list[int] | None, kind: str | None) -> None:
    kinds = [(p.kind, p.is_error) for p in found([BOX, box], FINE, size=size)]
    assert kinds == ([] if kind is None else [(kind, kind != "box partly outside")])


def test_a_message_names_the_box_and_the_image() -> None:
    (problem,) = found([BOX, [50.5, 0, 60, 5]], FINE, size=[10, 10])
    assert problem.message == "boxes[1] lies outside the image: [50.5, 0, 60, 5] on an image of 10×10"


@pytest.mark.parametrize(
    "talk",
    [
        ["user: a"],
        ["assistant: a"],
        ["system: a"],
        [*FINE, "user: a"],
        [*FINE, *FINE[::-1]],
        ["system: a", *FINE[::-1]],
    ],
)
def test_roles_alternate(talk: list[str]) -> None:
    (problem,) = found([], FINE, talk)
    assert problem.kind == "roles" and problem.message.startswith("dialogues[1]: turns are ")


def test_absent_regions() -> None:
    first, second = found([BOX], ["user: <region1>?", "assistant: <region0><region9><region7><region9>"])
    assert (first.kind, second.kind) == ("region absent", "region absent")
    assert second.message == "dialogues[0]: turn 1 (assistant) names <region7>, <region9>, of 1 regions"
    (none,) = found([], ["user: <region0>?", "assistant: a"])
    assert none.message.endswith("names <region0>, but there are no regions")


def test_answers() -> None:
    assert answer(" ") == ["empty text"]
    assert answer("<ground>a</ground><objects> </objects>") == ["empty objects"]
    assert answer("<ground>a</ground><objects><region1><region0></objects>") == ["region order"]
    assert answer("<ground>a</ground><objects><region1><region1></objects>") == ["region order"]
    assert answer("<ground>a</ground><objects><region1></objects><objects><region0></objects>") == []
    assert answer("<ground>a</ground><objects><region1>") == ["tags"]
    assert answer("<think>a <region1> and <region0>") == ["tags"]


def test_a_record_without_dialogue_is_odd_but_no_error() -> None:
    (problem,) = found([BOX])
    assert (problem.kind, problem.is_error) == ("no dialogue", False)

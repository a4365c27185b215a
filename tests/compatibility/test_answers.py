"""What the official code gets wrong, done right: batches and answers; what is given is not changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from compatibility.prompts import (
    BOXES,
    SIZE,
    grounded,
    many,
)
from fo1 import FO1, Regions, Scene
from fo1.decoding import generate
from scripted import saying
from tiny import picture


@pytest.mark.parametrize(
    ("beams", "penalty"), [(1, 1.0), (2, 1.0), (3, 1.0), (1, 1.5), (2, 1.5)], ids=lambda v: str(v)
)
def test_a_batch_says_what_each_would_say_alone(
    released: FO1, scene: Scene, bare: Scene, crowd: Scene, beams: int, penalty: float
) -> None:
    others = released.look_many([picture(2, (120, 40)), picture(3, (20, 100))], [many(7), []])
    scenes = [scene, bare, others[0], crowd, others[1]]
    questions = ["What is <region1>?", "Why?", "Count them, <region6> too, please.", "And <region130>?", "?"]
    together = released.ask_many(scenes, questions, 6, beams, penalty)
    alone = [s.ask(q, 6, beams, penalty) for s, q in zip(scenes, questions, strict=True)]
    assert together == alone and len(set(together)) == 5


def test_looking_at_several_is_looking_at_each(released: FO1) -> None:
    images = [picture(0, SIZE), picture(1, (50, 90)), picture(2, SIZE), picture(3, (20, 15))]
    boxes = [BOXES, [], many(120), [[0, 0, 9, 9]]]
    for scene, image, given in zip(released.look_many(images, boxes), images, boxes, strict=True):
        alone = released.look(image, given)
        torch.testing.assert_close(scene.encoded.embeddings, alone.encoded.embeddings, atol=2e-5, rtol=0)
        assert scene.ask("What is it?", 4) == alone.ask("What is it?", 4)


def test_a_penalty_keeps_an_answer_from_repeating_itself(released: FO1, scene: Scene) -> None:
    assert scene.ask("What?", 8, repetition_penalty=1e4) != ""
    (plain,) = generate(released.model, [released.model.prompts.template("a a a")], [[]], 12)
    (fresh,) = generate(
        released.model, [released.model.prompts.template("a a a")], [[]], 12, repetition_penalty=1e4
    )
    assert len(set(fresh.ids)) == len(fresh.ids) and plain.ids[0] == fresh.ids[0]


@pytest.mark.parametrize("kind", ["list", "numpy", "torch", "regions"])
def test_boxes_are_not_changed_and_a_second_call_is_the_same(released: FO1, kind: str) -> None:
    rows = [[-9.5, 3.0, 40.0, 30.0], [30.0, 10.0, 300.0, 50.0], [20.0, 20.0, 20.0, 20.0]]
    made: dict[str, Any] = {
        "list": [list(row) for row in rows],
        "numpy": np.array(rows),
        "torch": torch.tensor(rows),
        "regions": Regions.of(rows, SIZE),
    }
    boxes, array = made[kind], np.asarray(picture(0, SIZE)).copy()
    kept = array.copy()
    first, second = (released.look(array, boxes) for _ in range(2))
    assert torch.equal(first.encoded.embeddings, second.encoded.embeddings)
    answers = [scene.ask("What is <region1>?", 5) for scene in (first, second, first)]
    assert len(set(answers)) == 1
    found = [scene.detect("cup") for scene in (first, second)]
    assert found[0].to_dicts() == found[1].to_dicts() and found[0].answer == found[1].answer
    after = boxes.xyxy if isinstance(boxes, Regions) else boxes
    assert np.asarray(after).tolist() == rows and (array == kept).all()


def test_answers_keep_their_order_and_unknown_regions_are_told(released: FO1, scene: Scene) -> None:
    text = (
        "<ground>dog</ground>\n<objects> <region2> <region0>\n<region99><region2></objects>"
        "<ground> Cup </ground><objects><region1><region7>"
    )
    with saying(released.model, text, chances={"<region0>": 0.5, "<region1>": 0.6}):
        found = scene.detect("cup, dog, cat", constrained=False)
    assert [(g.phrase, g.regions) for g in found.answer.groundings] == [("dog", (2, 0)), ("Cup", (1,))]
    assert found.answer.unknown_regions == (99, 7)
    assert found.labels == ("cup", "dog", "dog") and found.absent == ("cat",)
    assert found.regions.tolist() == [1, 2, 0]
    assert found.scores == pytest.approx([0.6, 0.9, 0.5], abs=1e-4)


def test_bare_regions_are_those_of_the_one_label(released: FO1, scene: Scene) -> None:
    with saying(released.model, "There: <region2>, <region0>."):
        assert set(scene.detect("cup", constrained=False).regions.tolist()) == {0, 2}
    with saying(released.model, "None."):
        assert scene.detect("cup", constrained=False).absent == ("cup",)


def test_a_score_is_the_models_own(released: FO1) -> None:
    regions = Regions.of(BOXES, SIZE, [0.11, 0.22, 0.33])
    scene = released.look(picture(0, SIZE), regions)
    text, chances = grounded("cup", 1, 2), {"<region1>": 0.4, "<region2>": 0.7}
    for least, kept in ((None, [2, 1]), (0.5, [2]), (0.75, [])):
        with saying(released.model, text, chances=chances):
            found = scene.detect("cup", threshold=least, constrained=False)
        assert found.regions.tolist() == kept
        assert found.confidence["cup"] == pytest.approx([0, 0.4, 0.7], abs=1e-4)

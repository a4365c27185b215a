from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fo1.boxes import area, intersection, iou
from fo1.checkpoints.config import ModelConfig
from fo1.duplicates import Duplicates
from fo1.errors import PromptError, RegionError
from fo1.findings import written
from fo1.model import RegionModel
from fo1.pipeline import FO1
from fo1.prompts.parsing import Grounding, parse_answer
from fo1.scene import Scene
from fo1.settings import Settings
from tiny import BOXES, StubProposer, picture, region_model


def middle(scores: np.ndarray) -> float:
    """A threshold between the scores."""
    ordered = np.sort(scores)
    return float(ordered[len(ordered) // 2 - 1] / 2 + ordered[len(ordered) // 2] / 2)


def test_threshold_is_the_least_score_reported(apart: Scene) -> None:
    scores = apart.detect("cup").confidence["cup"]
    assert len(scores) == 4
    for least in (0.0, middle(scores), float(scores.max())):
        found = apart.detect("cup", threshold=least)
        kept = [i for i in range(4) if scores[i] >= np.float32(least)]
        assert sorted(found.regions.tolist()) == kept
        assert found.scores.tolist() == sorted(scores[kept], reverse=True)
        assert (found.xyxy == apart.regions.xyxy[found.regions]).all()
        assert found.scores.tolist() == [scores[i] for i in found.regions]
    assert len(apart.detect("cup", threshold=1.0)) == 0


def test_the_models_own_threshold_is_the_default(tiny_model: RegionModel, scene: Scene) -> None:
    least = middle(scene.detect("cup").confidence["cup"])
    other = FO1(tiny_model, replace(ModelConfig("tiny"), threshold=least)).look(picture(0))
    assert (other.detect("cup").regions == scene.detect("cup", threshold=least).regions).all()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_chance(scene: Scene, threshold: float) -> None:
    with pytest.raises(PromptError, match="between 0 and 1"):
        scene.detect("cup", threshold=threshold)


def test_several_labels(scene: Scene) -> None:
    confidence = scene.detect("cup, dog, cat").confidence
    least = middle(np.array([scores.max() for scores in confidence.values()]))
    found = scene.detect(["cup", "dog", "cat"], threshold=least)
    present = [label for label, scores in confidence.items() if scores.max() >= least]
    assert 0 < len(present) < 3
    assert list(dict.fromkeys(found.labels)) == present
    assert found.absent == tuple(label for label in confidence if label not in present)
    for label in present:
        one = found.by_label(label)
        assert one.scores.tolist() == sorted(one.scores.tolist(), reverse=True)


def test_the_answer_says_what_was_found(scene: Scene) -> None:
    confidence = scene.detect("cup, dog").confidence
    least = middle(np.concatenate([*confidence.values()]))
    found = scene.detect("cup, dog", threshold=least)
    assert parse_answer(found.answer.text, len(BOXES)) == found.answer
    for grounding in found.answer.groundings:
        assert grounding.regions == tuple(
            sorted(found.regions[[x == grounding.phrase for x in found.labels]])
        )


def test_absent_is_written_as_none() -> None:
    assert written(Grounding("dog", ())) == "<ground>dog</ground><objects>None</objects>"
    assert written(Grounding("cup", (1, 12))) == "<ground>cup</ground><objects><region1><region12></objects>"


def test_duplicates_of_one_label_are_reported_once(tiny_fo1: FO1) -> None:
    boxes = [[0, 0, 40, 30], [1, 0, 41, 30], [0, 1, 40, 31], [45, 30, 80, 60]]
    scene = tiny_fo1.look(picture(0), boxes)
    found = scene.detect("cup, dog", threshold=0.0)
    for label in ("cup", "dog"):
        scores = found.confidence[label]
        kept = found.by_label(label).regions.tolist()
        assert sorted(kept, reverse=True)[0] == 3 and len(kept) == 2
        assert int(np.argmax(scores[:3])) in kept
    overlaps = iou(found.by_label("cup").xyxy, found.by_label("cup").xyxy)
    assert (overlaps[~np.eye(2, dtype=bool)] <= Duplicates().iou).all()


def test_a_part_of_a_thing_is_not_another_thing(tiny_fo1: FO1) -> None:
    """A box does not stand beside smaller ones within it; what reaches out far enough is another thing."""
    boxes = [[0, 0, 40, 40], [2, 2, 12, 12], [25, 25, 35, 41], [31, 0, 51, 40]]
    scene = tiny_fo1.look(picture(0), boxes)
    given = scene.regions.xyxy
    shared = intersection(given, given) / np.minimum(area(given)[:, None], area(given)[None])
    assert (iou(given[:1], given[1:]) < Duplicates().iou).all()
    assert shared[0, 1] == 1 and shared[0, 2] > Duplicates().cover > shared[0, 3]
    for label in ("cup", "dog", "cat", "tree"):
        found = scene.detect(label, threshold=0.0)
        scores = found.confidence[label]
        inner_first = [i for i in (1, 2) if scores[i] > scores[0]]
        expected = {3, 1, 2} if inner_first else {3, 0}
        assert set(found.regions.tolist()) == expected


def test_no_regions(tiny_fo1: FO1) -> None:
    for scene in (
        tiny_fo1.look(picture(0), []),
        FO1(region_model(proposer=StubProposer([])), ModelConfig("tiny")).look(picture(0)),
    ):
        found = scene.detect("cup, dog", threshold=0.0)
        assert len(found) == 0 and found.absent == ("cup", "dog")
        assert found.answer.text.count("None") == 2
        assert found.confidence["cup"].shape == (0,)
        assert scene.count("cup") == 0 and len(scene.find("cup")) == 0
        assert isinstance(scene.ask("What is this?", max_new_tokens=4), str)


def test_boxes_outside_the_image_are_clipped_in_results(tiny_fo1: FO1) -> None:
    boxes = [[-20, -10, 30, 30], [50, 40, 200, 300], [210, 100, 230, 120], [10, 10, 10, 10]]
    scene = tiny_fo1.look(picture(0), boxes)
    found = scene.detect("cup", threshold=0.0)
    by_region = {d.region: d.box for d in found}
    assert by_region == {
        0: (0, 0, 30, 30),
        1: (50, 40, 80, 60),
        2: (80, 60, 80, 60),
        3: (10, 10, 10, 10),
    }
    assert scene.regions.xyxy.tolist() == boxes


def test_inputs_are_not_changed_and_asking_again_gives_the_same(tiny_fo1: FO1) -> None:
    image, boxes, labels = (
        np.asarray(picture(0)).copy(),
        np.array([[-5.0, 0.0, 50.0, 90.0]]),
        ["cup", " dog "],
    )
    kept = image.copy(), boxes.copy(), list(labels)
    scene = tiny_fo1.look(image, boxes)
    first, second = scene.detect(labels), scene.detect(labels)
    assert first.to_dicts() == second.to_dicts()
    assert (image == kept[0]).all() and (boxes == kept[1]).all() and labels == kept[2]


@pytest.mark.parametrize(
    "label", ["橙子", "<region1>", "<region99>", "<|im_end|>", "<objects>", "a" * 500, "🍊"]
)
def test_any_label_can_be_asked(scene: Scene, label: str) -> None:
    found = scene.detect([label, "cup"], threshold=0.0)
    assert list(found.confidence) == [label, "cup"]
    assert np.isfinite(found.confidence[label]).all()
    assert set(found.labels) == {label, "cup"}


def test_half_a_character(scene: Scene) -> None:
    for ask in (scene.detect, scene.find, scene.count, scene.ask):
        with pytest.raises(PromptError, match="half a character"):
            ask("caf\udce9")


def test_no_label(scene: Scene) -> None:
    for empty in ("", " , ", []):
        with pytest.raises(PromptError, match="no label"):
            scene.detect(empty)


@pytest.mark.parametrize("count", [50, 130])
def test_many_labels(scene: Scene, count: int) -> None:
    labels = [f"thing {i}" for i in range(count)]
    together = scene.detect(labels).confidence
    assert list(together) == labels
    last = labels[count - 10 :]
    few = scene.detect(last).confidence
    for label in last:
        assert together[label] == pytest.approx(few[label], abs=1e-5)


def test_find_is_the_best_of_detect(scene: Scene) -> None:
    scores = scene.detect(["the left, red cup"]).confidence["the left, red cup"]
    found = scene.find("the left, red cup", threshold=0.0)
    assert found.labels == ("the left, red cup",)
    assert found.regions.tolist() == [int(scores.argmax())] and found.scores[0] == scores.max()
    nothing = scene.find("the left, red cup", threshold=1.0)
    assert len(nothing) == 0 and nothing.absent == ("the left, red cup",)


def test_count_is_the_number_of_what_it_locates(apart: Scene) -> None:
    located = apart.locate("cup", threshold=0.0)
    assert apart.count("cup", threshold=0.0) == len(located) == 4
    assert apart.count("cup", threshold=1.0) == 0
    # Counting asks another question than detection.
    assert not np.allclose(located.confidence["cup"], apart.detect("cup").confidence["cup"], atol=1e-4)


def test_describe_and_ask(scene: Scene) -> None:
    whole, one, other = scene.describe(), scene.describe(0), scene.describe(3)
    assert all(isinstance(text, str) for text in (whole, one, other))
    assert scene.describe(3) == other
    assert one == scene.ask("Provide a brief description for <region0>.")
    assert len({whole, one, other}) == 3
    assert scene.seconds["answer"] > 0


@pytest.mark.parametrize("region", [-1, 6, 100, 2.5, "one"])
def test_a_region_that_is_not_there(scene: Scene, region: Any) -> None:
    for verb in (scene.describe, scene.read, scene.names):
        with pytest.raises(RegionError, match=f"no region {region}; this scene has 6"):
            verb(region)


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question(scene: Scene, question: str) -> None:
    with pytest.raises(PromptError, match="question is empty"):
        scene.ask(question)


def test_ask_many_equals_ask(tiny_fo1: FO1) -> None:
    scenes = tiny_fo1.look_many([picture(0), picture(1)], [None, [[0, 0, 40, 30]]])
    questions = ["What is <region1>?", "Why?"]
    together = tiny_fo1.ask_many(scenes, questions, max_new_tokens=6)
    assert together == [s.ask(q, max_new_tokens=6) for s, q in zip(scenes, questions, strict=True)]


def test_the_picture_matters(tiny_fo1: FO1) -> None:
    dark = Image.new("RGB", (80, 60), "black")
    scores = [tiny_fo1.look(image).detect("cup").confidence["cup"] for image in (picture(0), dark)]
    assert not np.allclose(*scores, atol=1e-3)


def test_ask_many_counts_its_questions(tiny_fo1: FO1, scene: Scene) -> None:
    assert tiny_fo1.ask_many([], []) == []
    with pytest.raises(PromptError, match="1 questions for 2 images"):
        tiny_fo1.ask_many([scene, scene], ["What?"])


def test_a_region_gets_the_names_of_the_lexicon_best_first() -> None:
    known = ["cup", "dog", "tree"]
    scene = FO1(region_model(classes=4, names=known), Settings("tiny")).look(picture(0))
    assert scene.known_names == tuple(known)
    named = scene.names(2)
    assert {name for name, _ in named} == set(known)
    chances = [chance for _, chance in named]
    assert chances == sorted(chances, reverse=True) and sum(chances) == pytest.approx(1)
    one = scene.encoded.take([2])
    logits = scene.model.name_logits(one.embeddings, one.evidence)[:, 0]
    assert named[0][0] == known[int(logits.argmax())]
    assert scene.names(2, count=1) == named[:1]


def test_a_region_gets_the_best_of_names_that_the_caller_gives(scene: Scene) -> None:
    assert scene.known_names == ()
    named = scene.names(0, among="zebra, cup, zebra")
    assert {name for name, _ in named} == {"zebra", "cup"}


def test_names_that_cannot_be_compared(scene: Scene) -> None:
    with pytest.raises(PromptError, match="compares no names"):
        scene.names(0)
    with pytest.raises(PromptError, match="no label given"):
        scene.names(0, among=" , ")
    with pytest.raises(RegionError, match="no region 6"):
        scene.names(6, among="cup")
    static = FO1(region_model(dynamic=False), Settings("static")).look(picture(0))
    with pytest.raises(PromptError, match="compares no names"):
        static.names(0, among="cup")

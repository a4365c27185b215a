from __future__ import annotations

import numpy as np
import pytest
import torch

from fo1.checkpoints.config import ModelConfig
from fo1.errors import ImageError, PromptError, RegionError
from fo1.messages import Message
from fo1.model import RegionModel
from fo1.pipeline import FO1
from fo1.scene import Scene
from fo1.types import Regions
from tiny import BOXES, picture, region_model


def test_a_scene_has_the_proposers_regions(scene: Scene) -> None:
    assert len(scene.regions) == len(BOXES) and scene.regions.image_size == (80, 60)
    assert scene.regions.xyxy[4].tolist() == [20, 15, 60, 45]
    assert set(scene.seconds) == {"image", "encode"}


@pytest.mark.parametrize(
    "boxes",
    [
        [[0, 0, 40, 30], [10, 10, 70, 50]],
        np.array([[0, 0, 40, 30], [10, 10, 70, 50]]),
        torch.tensor([[0, 0, 40, 30], [10, 10, 70, 50]]),
        Regions.of([[0, 0, 40, 30], [10, 10, 70, 50]], (80, 60)),
    ],
    ids=["list", "numpy", "torch", "regions"],
)
def test_given_boxes_replace_proposals(tiny_fo1: FO1, boxes: object) -> None:
    regions = tiny_fo1.look(picture(0), boxes).regions  # type: ignore[arg-type]
    assert regions.xyxy.tolist() == [[0, 0, 40, 30], [10, 10, 70, 50]]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[40, 30, 10, 50]], "box 0 ends before it starts"),
        ([[0, 0, 9, 9], [10, 50, 40, 30]], "box 1 ends before it starts"),
        ([[0, 0, float("nan"), 9]], "must be finite; entry 0"),
        ([[0, 0, 9, 9], [0, 0, float("inf"), 9]], "must be finite; entry 1"),
        ([[0, 0, 9]], "must have shape"),
        ([0, 0, 9, 9], "must have shape"),
        ([[]], "must have shape"),
        ([["a", 0, 9, 9]], "must be numbers"),
        (7, "must be a list"),
        (Regions.of([[0, 0, 9, 9]], (60, 80)), r"of a \(60, 80\) image, this one is \(80, 60\)"),
    ],
)
def test_boxes_that_cannot_be_used(tiny_fo1: FO1, boxes: object, message: str) -> None:
    with pytest.raises(RegionError, match=message):
        tiny_fo1.look(picture(0), boxes)  # type: ignore[arg-type]


def test_a_hundred_boxes_are_fine(tiny_fo1: FO1) -> None:
    boxes = np.random.default_rng(0).uniform(0, 30, (100, 4)) + [0, 0, 31, 31]
    scene = tiny_fo1.look(picture(0), boxes)
    assert scene.detect("cup").confidence["cup"].shape == (100,)


def test_images_that_cannot_be_read(tiny_fo1: FO1) -> None:
    with pytest.raises(ImageError, match="nowhere.jpg"):
        tiny_fo1.look("nowhere.jpg")


def test_look_many_equals_look(tiny_fo1: FO1) -> None:
    images = [picture(0), picture(1, (50, 90)), picture(2)]
    boxes = [None, [[0, 0, 40, 30]], []]
    for scene, image, given in zip(tiny_fo1.look_many(images, boxes), images, boxes, strict=True):
        alone = tiny_fo1.look(image, given)
        assert (scene.regions.xyxy == alone.regions.xyxy).all()
        together, single = (s.detect("cup, dog").confidence for s in (scene, alone))
        for label in ("cup", "dog"):
            assert together[label] == pytest.approx(single[label], abs=1e-5)
    assert tiny_fo1.look_many([]) == []


def test_look_many_takes_an_array_of_boxes_and_counts_them(tiny_fo1: FO1) -> None:
    images = [picture(0), picture(1)]
    scenes = tiny_fo1.look_many(images, np.array([[[0, 0, 9, 9]], [[5, 5, 20, 20]]]))
    assert [scene.regions.xyxy.tolist() for scene in scenes] == [[[0, 0, 9, 9]], [[5, 5, 20, 20]]]
    for wrong in ([], [None], [None] * 3):
        with pytest.raises(RegionError, match=f"{len(wrong)} sets of boxes for 2 images"):
            tiny_fo1.look_many(images, wrong)


def spread(count: int) -> list[list[float]]:
    """Boxes that do not overlap."""
    return [[i % 10 * 8, i // 10 * 10, i % 10 * 8 + 7, i // 10 * 10 + 9] for i in range(count)]


@pytest.fixture(scope="module")
def small() -> FO1:
    """A model with names for eight regions."""
    return FO1(region_model(capacity=8), ModelConfig("small", threshold=0.0))


def test_groups_have_global_numbers_boxes_and_scores(small: FO1) -> None:
    scene = small.look(picture(0), spread(20))
    found = scene.detect("cup, dog", threshold=0.0)
    assert sorted(found.by_label("cup").regions.tolist()) == list(range(20))
    for first in (0, 8, 16):
        rows = list(range(first, min(first + 8, 20)))
        alone = small.look(picture(0), [spread(20)[i] for i in rows]).detect("cup, dog")
        for label in ("cup", "dog"):
            assert found.confidence[label][rows] == pytest.approx(alone.confidence[label], abs=1e-5)
    for one in found:
        assert list(one.box) == spread(20)[one.region]
        assert one.score == found.confidence[one.label][one.region]


def test_groups_are_merged(small: FO1) -> None:
    boxes = spread(8) + [[x + 0.5, y, z + 0.5, w] for x, y, z, w in spread(8)]
    found = small.look(picture(0), boxes).detect("cup", threshold=0.0)
    best = found.confidence["cup"].reshape(2, 8).argmax(axis=0)
    assert sorted(found.regions.tolist()) == sorted(8 * best + np.arange(8))
    assert small.look(picture(0), boxes).count("cup", threshold=0.0) == 8


def test_a_question_about_many_regions(small: FO1) -> None:
    boxes = spread(20)
    scene = small.look(picture(0), boxes)
    alone = small.look(picture(0), [*boxes[:6], boxes[13], boxes[19]])
    asked, there = "What is <region19>, or <region13>?", "What is <region7>, or <region6>?"
    assert scene.ask(asked, 8) == alone.ask(there, 8)
    assert scene.ask(asked, 8, beams=2) == alone.ask(there, 8, beams=2)
    assert small.ask_many([alone, scene], ["Why?", asked], 8)[1] == alone.ask(there, 8)
    assert scene.describe(19) == small.look(picture(0), [*boxes[:7], boxes[19]]).describe(7)
    with pytest.raises(PromptError, match="9 regions are named"):
        scene.ask("".join(f"<region{i}>" for i in range(9)))


def test_the_best_proposals_are_seen_first(small: FO1) -> None:
    scores = np.linspace(0.1, 0.9, 20)
    scene = small.look(picture(0), Regions.of(spread(20), (80, 60), scores))
    alone = small.look(picture(0), [spread(20)[i] for i in [0, *range(13, 20)]])
    assert scene.ask("What is <region0>?", 8) == alone.ask("What is <region0>?", 8)


def test_top_k(tiny_fo1: FO1) -> None:
    given = Regions.of(spread(6), (80, 60), [0.1, 0.9, 0.3, 0.8, 0.2, 0.7], [*"abcdef"])
    scene = tiny_fo1.look(picture(0), given, top_k=3)
    assert scene.regions.xyxy.tolist() == [spread(6)[i] for i in (1, 3, 5)]
    assert scene.regions.labels == ("b", "d", "f")
    same = tiny_fo1.look(picture(0), scene.regions)
    assert scene.detect("cup").confidence["cup"] == pytest.approx(same.detect("cup").confidence["cup"])
    assert len(tiny_fo1.look(picture(0), given, top_k=99).regions) == 6
    assert [len(s.regions) for s in tiny_fo1.look_many([picture(0), picture(1)], [None, []], top_k=2)] == [
        2,
        0,
    ]
    with pytest.raises(RegionError, match="at least 1, got 0"):
        tiny_fo1.look(picture(0), top_k=0)


def test_a_chat_of_one_turn_is_a_question(tiny_fo1: FO1, scene: Scene) -> None:
    question = "What is <region1>?"
    for beams in (1, 2):
        said = tiny_fo1.chat([Message("user", [scene, question])], 8, beams)
        assert said == scene.ask(question, 8, beams)


def test_what_was_said_and_shown_before_matters(tiny_fo1: FO1, scene: Scene, apart: Scene) -> None:
    def talk(first: Scene, answer: str, *last: str | Scene) -> list[Message]:
        return [Message("user", [first, "Hi."]), Message("assistant", answer), Message("user", last)]

    talks = [
        talk(scene, "Yes.", "Why?"),
        talk(apart, "Yes.", "Why?"),
        talk(scene, "No.", "Why?"),
        talk(scene, "Yes.", apart, "Why?"),
        [Message("system", "Be brief."), *talk(scene, "Yes.", "Why?")],
        [Message("user", "Why?")],
    ]
    said = [tiny_fo1.chat(messages, 12) for messages in talks]
    assert len(set(said)) == len(said)
    assert tiny_fo1.chat(talks[0], 12) == said[0]


def test_regions_count_on_from_image_to_image(tiny_fo1: FO1, tiny_model: RegionModel, scene: Scene) -> None:
    """The second image's second region is region 7, wherever it is named."""
    second = tiny_fo1.look(picture(3), spread(3))
    read: list[torch.Tensor] = []
    handle = tiny_model.base.model.layers[0].register_forward_pre_hook(
        lambda _, args: read.append(args[0][0])
    )
    tiny_fo1.chat([Message("user", [scene, second, "<region7>"])], 1)
    handle.remove()
    vocabulary = tiny_model.prompts.vocabulary
    rows = tiny_model.splice.input_rows[vocabulary.region(7) - vocabulary.first_region]
    wanted = rows + second.encoded.embeddings[1]
    found = (read[0] - wanted).abs().amax(dim=1) < 1e-5
    assert int(found.sum()) == 2  # in the list, and in the question


def test_a_chat_about_more_regions_than_fit(small: FO1) -> None:
    first = small.look(picture(0), Regions.of(spread(6), (80, 60), [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    second = small.look(picture(1), Regions.of(spread(5), (80, 60), [0.85, 0.65, 0.3, 0.2, 0.1]))
    # Eight of the eleven: region 10, which is named, and the best seven.
    seen = small.look(picture(0), spread(5)), small.look(picture(1), [spread(5)[i] for i in (0, 1, 4)])
    said = small.chat([Message("user", [first, "Hi.", second, "What is <region10>?"])], 8)
    assert said == small.chat([Message("user", [seen[0], "Hi.", seen[1], "What is <region7>?"])], 8)


def test_messages_that_cannot_be_read(tiny_fo1: FO1, small: FO1, scene: Scene) -> None:
    with pytest.raises(PromptError, match="give texts, and images as scenes"):
        tiny_fo1.chat([Message("user", [picture(0), "What?"])])  # type: ignore[list-item]
    with pytest.raises(PromptError, match="of another model"):
        small.chat([Message("user", [scene, "What?"])])
    with pytest.raises(PromptError, match="of several models"):
        small.ask_many([scene, small.look(picture(0))], ["What?", "What?"])

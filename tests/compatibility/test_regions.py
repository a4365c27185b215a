"""What the official code gets wrong, done right: no boxes, and more than it has names for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compatibility.prompts import (
    END,
    IMAGE,
    REPLY,
    SIZE,
    SYSTEM,
    USER,
    grounded,
    many,
    runs,
)
from fo1 import FO1, PromptError, RegionError, Regions, Scene
from scripted import prompts_read, saying
from tiny import picture


def test_without_boxes_a_question_is_answered_from_the_image_alone(released: FO1, bare: Scene) -> None:
    with prompts_read(released.model) as prompts:
        answer = bare.ask("What is it?", 6)
    assert prompts == [f"{SYSTEM}{USER}{IMAGE}What is it?{END}{REPLY}"]
    other = released.look(picture(2, SIZE), []).ask("What is it?", 6)
    assert answer and other and answer != other
    assert bare.describe() == bare.ask("What is in this image?")


def test_without_boxes_nothing_is_found_and_the_language_model_is_not_asked(
    released: FO1, bare: Scene
) -> None:
    with runs(released) as calls:
        found = bare.detect("cup, dog")
        assert (len(found), found.absent) == (0, ("cup", "dog"))
        assert found.answer.text == grounded("cup").replace("<objects>", "<objects>None") + grounded(
            "dog"
        ).replace("<objects>", "<objects>None")
        assert found.confidence["cup"].shape == (0,)
        assert bare.count("cup") == 0 and len(bare.find("a cup")) == 0
    assert calls == []


def test_a_hundred_boxes_are_one_prompt(released: FO1) -> None:
    scene = released.look(picture(0, SIZE), many(100))
    with saying(released.model, grounded("cup", 99, 0)), prompts_read(released.model) as prompts:
        found = scene.detect("cup")
    assert len(prompts) == 1 and "<region99>{f}\n" in prompts[0]
    assert set(found.regions.tolist()) == {99, 0} and found.answer.groundings[0].regions == (99, 0)


@pytest.mark.parametrize(("count", "sizes"), [(101, [100, 1]), (250, [100, 100, 50])])
def test_more_boxes_are_asked_in_groups_whose_numbers_go_on(
    released: FO1, count: int, sizes: list[int]
) -> None:
    scene = released.look(picture(0, SIZE), many(count))
    last = [size - 1 for size in sizes]
    texts = [grounded("cup", i, 0) if i else grounded("cup", i) for i in last]
    with saying(released.model, *texts), prompts_read(released.model) as prompts:
        found = scene.detect("cup")
    assert [prompt.count("{f}") for prompt in prompts] == sizes
    ends = np.cumsum(sizes)
    expected = sorted({int(e) - 1 for e in ends} | {int(e) - s for e, s in zip(ends, sizes, strict=True)})
    assert sorted(found.regions.tolist()) == expected
    for one in found:
        assert one.box == tuple(np.float32(many(count)[one.region]))
    assert [grounding.regions[0] for grounding in found.answer.groundings] == [int(e) - 1 for e in ends]
    assert found.answer.unknown_regions == ()
    assert np.flatnonzero(found.confidence["cup"] > 0.5).tolist() == expected


def test_a_group_reads_its_own_regions(released: FO1, crowd: Scene) -> None:
    """The second of three groups is the picture with the second hundred boxes."""
    alone = released.look(picture(0, SIZE), many(250)[100:200])
    torch.testing.assert_close(crowd.encoded.embeddings[100:200], alone.encoded.embeddings)


def test_what_groups_name_twice_is_merged(released: FO1) -> None:
    boxes = many(200)
    boxes[103] = boxes[3] + [0.1, 0, 0.1, 0]
    scene = released.look(picture(0, SIZE), boxes)
    texts = grounded("cup", 3, 5), grounded("cup", 3, 4)
    with saying(released.model, *texts, chances={"<region3>": 0.8, "<region5>": 0.7, "<region4>": 0.6}):
        found = scene.detect("cup", constrained=False)
    assert found.regions.tolist() == [3, 5, 104]
    assert found.scores == pytest.approx([0.8, 0.7, 0.6], abs=1e-4)
    with saying(released.model, *texts):
        assert scene.find("cup", constrained=False).regions.tolist() == [3]
    with saying(released.model, *texts):
        assert scene.count("cup") == 3


def test_what_one_prompt_names_twice_is_the_models_word(released: FO1) -> None:
    scene = released.look(picture(0, SIZE), [[0, 0, 50, 50], [1, 1, 50, 50]])
    with saying(released.model, grounded("cup", 0, 1)):
        assert scene.count("cup") == 2


def test_top_k_keeps_the_best(released: FO1) -> None:
    scores = np.linspace(0, 1, 250)[::-1].copy()
    scores[[200, 7]] = 2, 0
    regions = Regions.of(many(250), SIZE, scores)
    scene = released.look(picture(0, SIZE), regions, top_k=100)
    kept = [*(i for i in range(100) if i != 7), 200]
    assert (scene.regions.xyxy == regions.xyxy[kept]).all()
    with saying(released.model, grounded("cup", 99)), prompts_read(released.model) as prompts:
        found = scene.detect("cup")
    assert len(prompts) == 1 and found.regions.tolist() == [99]
    assert found.xyxy[0].tolist() == regions.xyxy[200].tolist()
    with pytest.raises(RegionError, match="top_k must be at least 1"):
        released.look(picture(0, SIZE), regions, top_k=0)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_question_sees_the_regions_it_names_and_the_first(released: FO1, crowd: Scene, beams: int) -> None:
    alone = released.look(picture(0, SIZE), many(250)[[*range(98), 130, 249]])
    question = "Is <region130> like <region2>, <region249> or <region260>?"
    with prompts_read(released.model) as prompts:
        answer = crowd.ask(question, 5, beams)
        assert answer == alone.ask("Is <region98> like <region2>, <region99> or <region260>?", 5, beams)
        assert released.ask_many([crowd], [question], 5, beams) == [answer]
    assert prompts[0] == prompts[1] == prompts[2]
    with saying(released.model, "<region98> and <region2>, not <region260>"):
        text = crowd.ask(question, constrained=False)
    assert text == "<region130> and <region2>, not <region510>"  # 510 of 250: as unknown as 260 was of 100


def test_any_of_many_regions_can_be_described(released: FO1, crowd: Scene) -> None:
    alone = released.look(picture(0, SIZE), many(250)[[*range(99), 249]])
    assert crowd.describe(249) == alone.describe(99)
    with pytest.raises(RegionError, match="no region 250; this scene has 250"):
        crowd.describe(250)


def test_naming_more_regions_than_fit_is_told(crowd: Scene) -> None:
    with pytest.raises(PromptError, match="101 regions are named; the model can read 100"):
        crowd.ask("".join(f"<region{i}>" for i in range(101)))

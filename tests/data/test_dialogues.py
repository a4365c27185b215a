from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from fo1.data.convert.annotated import Annotated, Caption, Expression, Span
from fo1.data.dialogues import TASK_NAMES, TaskConfig, make_dialogues, make_record
from fo1.data.plurals import plural
from fo1.data.problems import problems
from fo1.data.record import ImageRef, Turn
from fo1.data.settings import SettingError
from fo1.data.wordings import WORDINGS, worded
from fo1.prompts.parsing import parse_answer
from fo1.prompts.tasks import TASKS

BOXES = np.array([[i, i, i + 9, i + 9] for i in range(6)], dtype=np.float32)
# Apples 0, 2 and 5, a cup at 1, people of whom there is a crowd as well at 3, something at 4.
IMAGE = Annotated(
    ImageRef("a.jpg", (100, 80)),
    BOXES,
    labels=("apple", "cup", "apple", "person", None, "apple"),
    captions=(None, "a blue cup", None, None, None, None),
    texts=(None, "TEA", None, None, "<ground>", None),
    ignored=(("person", (50.0, 0.0, 100.0, 80.0)),),
    absent=("dog", "wine glass", "cat"),
    expressions=(Expression("the cup, left", (1,)),),
    image_captions=(Caption("Apples by a cup.", (Span(0, 6, (5, 0, 2)), Span(10, 15, (1,)))),),
    talks=((Turn("user", "Hi?"), Turn("assistant", "Yes.")),),
)
OFTEN = range(40)


def ask(task: str, seed: int = 0, image: Annotated = IMAGE, **settings: Any) -> list[tuple[str, str]]:
    """(question, answer) of the dialogues of one task, in the released wording."""
    config = TaskConfig(tasks=(task,), **{"paraphrases": 0.0, **settings})
    talks = make_dialogues(image, np.random.default_rng(seed), config)
    return [(question.text, answer.text) for question, answer in talks]


def test_detection_lists_complete_and_absent_labels_in_the_order_asked() -> None:
    seen: Counter[str] = Counter()
    for seed in OFTEN:
        for question, answer in ask("detect", seed):
            found = parse_answer(answer, 6).groundings
            assert question == TASKS["detect"].fill(*(g.phrase for g in found))
            for grounding in found:
                assert grounding.regions == {"apple": (0, 2, 5), "cup": (1,)}.get(grounding.phrase, ())
                denied = f"<ground>{grounding.phrase}</ground><objects>None</objects>"
                assert (denied in answer) is not grounding.regions
                seen[grounding.phrase] += 1
    # Each once per image; people never, as a crowd of them has no boxes.
    assert seen["apple"] == seen["cup"] == len(OFTEN)
    assert set(seen) == {"apple", "cup", "dog", "wine glass", "cat"}


def test_detection_sticks_to_its_limits() -> None:
    labels = tuple(f"thing {i}" for i in range(6))
    many = Annotated(IMAGE.image, BOXES, labels, absent=tuple(f"no {i}" for i in range(20)))
    for seed in OFTEN:
        asked = ask("detect", seed, many, labels=2, absent=1, per_task=2)
        assert 1 <= len(asked) <= 2
        for _, answer in asked:
            assert answer.count("<region") <= 2 and answer.count("None") <= 1
    assert not any("None" in answer for seed in OFTEN for _, answer in ask("detect", seed, many, absent=0))


def test_a_label_with_a_comma_is_asked_for_alone() -> None:
    image = Annotated(IMAGE.image, BOXES[:3], ("bow, tie", "cup", "pot"), absent=("dog",))
    for seed in OFTEN:
        alone = [q for q, _ in ask("detect", seed, image) if "bow, tie" in q]
        assert alone == [TASKS["detect"].fill("bow, tie")]


def test_an_image_without_anything_is_asked_for_absent_labels_only() -> None:
    empty = Annotated(IMAGE.image, absent=("dog", "cat"))
    for seed in OFTEN:
        ((_, answer),) = ask("detect", seed, empty)
        assert "<region" not in answer and answer.count("None") in (1, 2)
    assert ask("detect", 0, empty, absent=0) == []


def test_counting_names_the_regions_then_the_number() -> None:
    answers = {answer for seed in OFTEN for _, answer in ask("count", seed)}
    apples = "<objects><region0><region2><region5></objects> 3"
    assert {f"<ground>apple</ground>{apples}", f"<ground>apples</ground>{apples}"} <= answers
    assert any(answer.endswith("<objects>None</objects> 0") for answer in answers)
    assert not any("person" in answer or "people" in answer for answer in answers)
    assert all(q.startswith("How many ") and "{}" not in q for q, _ in ask("count"))


def test_partial_and_unexhaustive_labels_are_not_listed_or_counted() -> None:
    for changes in ({"partial": frozenset({"apple", "cup"})}, {"exhaustive": False}):
        image = Annotated(IMAGE.image, BOXES[:2], ("apple", "cup"), **changes)
        for task in ("detect", "count", "visual-prompt"):
            assert ask(task, 0, image) == []
        assert {answer for _, answer in ask("name", 0, image)} == {"apple", "cup"}


def test_region_tasks() -> None:
    assert ask("refer") == [
        (TASKS["detect"].fill("the cup, left"), "<ground>the cup, left</ground><objects><region1></objects>")
    ]
    assert ask("describe") == [("Provide a brief description for <region1>.", "a blue cup")]
    # A text that would be taken for a tag is left out.
    assert ask("read") == [("Please provide the ocr results of <region1> in the image.", "TEA")]
    assert ask("ask") == [("Hi?", "Yes.")]
    names = {(q.split("<")[1].split(">")[0], a) for seed in OFTEN for q, a in ask("name", seed)}
    assert names == {(f"region{i}", name) for i, name in enumerate(IMAGE.labels) if name}


def test_visual_prompts_ask_for_the_others() -> None:
    pairs = {
        (int(q.split("<region")[1][0]), tuple(r for g in parse_answer(a, 6).groundings for r in g.regions), a)
        for seed in OFTEN
        for q, a in ask("visual-prompt", seed)
    }
    assert {pair[:2] for pair in pairs} == {(0, (2, 5)), (2, (0, 5)), (5, (0, 2)), (1, ())}
    assert {a for example, _, a in pairs if example == 1} == {"<objects>None</objects>"}


def test_captions_are_grounded() -> None:
    ((question, answer),) = ask("caption")
    assert question == TASKS["caption"].instruction
    assert answer == (
        "<ground>Apples</ground><objects><region0><region2><region5></objects> by "
        "<ground>a cup</ground><objects><region1></objects>."
    )


def test_the_same_seed_asks_the_same() -> None:
    one, two, other = (make_dialogues(IMAGE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one == two != other


def test_records_are_sound_and_say_what_negatives_must_know() -> None:
    for seed in OFTEN:
        record = make_record(IMAGE, "coco", np.random.default_rng(seed))
        assert list(problems(record)) == []
    assert record.source == "coco" and record.labels == IMAGE.labels
    ignored = [{"label": "person", "box": [50.0, 0.0, 100.0, 80.0]}]
    assert record.meta == {"partial": ["person"], "ignored": ignored}
    federated = Annotated(
        IMAGE.image, BOXES[:1], ("cup",), partial=frozenset({"cup"}), absent=("dog",), federated=True
    )
    record = make_record(federated, "lvis", np.random.default_rng(0))
    assert record.meta == {"partial": ["cup"], "absent": ["dog"]}
    talk = Annotated(IMAGE.image, exhaustive=False, talks=IMAGE.talks)
    record = make_record(talk, "llava", np.random.default_rng(0))
    assert record.labels is None and record.meta == {"exhaustive": False}
    # Nothing there, and that is known.
    assert make_record(Annotated(IMAGE.image), "yolo", np.random.default_rng(0)).labels == ()


@pytest.mark.parametrize("settings", [{"tasks": ("detekt",)}, {"labels": 0}, {"paraphrases": 1.5}])
def test_settings_that_make_no_sense(settings: Any) -> None:
    with pytest.raises(SettingError):
        TaskConfig(**settings)


def test_every_task_has_the_released_wording_and_some_more() -> None:
    assert set(WORDINGS) == {*TASKS, "name"} - {"ask"}
    assert {*TASK_NAMES} - {*WORDINGS} == {"refer", "ask"}
    for name, wordings in WORDINGS.items():
        assert len(set(wordings)) == len(wordings) and 4 <= len(wordings) <= 6
        if name != "name":
            assert wordings[0] == TASKS[name].instruction
        assert {wording.count("{}") for wording in wordings} == {0 if name == "caption" else 1}


def test_paraphrases_come_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    released = TASKS["detect"].fill("cup")
    asked = Counter(worded("detect", "cup", rng, 0.25) for _ in range(1000))
    assert 700 < asked[released] < 800 and len(asked) == len(WORDINGS["detect"])


@pytest.mark.parametrize(
    ("one", "several"),
    [
        *(("apple", "apples"), ("wine glass", "wine glasses"), ("person", "people"), ("bus", "buses")),
        *(("cherry", "cherries"), ("toy", "toys"), ("Box", "Boxes"), ("teddy bear", "teddy bears")),
        *(("fireman", "firemen"), ("human", "humans"), ("sheep", "sheep"), ("cactus", "cactuses")),
        *(("scissors", None), ("bow (ribbon)", None), ("hot-dog", "hot-dogs"), ("traffic light 2", None)),
    ],
)
def test_plurals(one: str, several: str | None) -> None:
    assert plural(one) == several

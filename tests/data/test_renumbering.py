from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fo1.boxes import iou
from fo1.data.matching import Matching, ProposalMix
from fo1.data.record import Dialogue, ImageRef, Record, RecordError, Turn
from fo1.data.renumbering import counts, renumber, reshown
from fo1.prompts.parsing import named_regions, parse_answer
from fo1.types import Regions

SIZE = (400, 300)


def talk(*texts: str) -> Dialogue:
    return tuple(Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def grounded(label: str, *regions: int) -> str:
    names = "".join(f"<region{i}>" for i in regions) or "None"
    return f"<ground>{label}</ground><objects>{names}</objects>"


def record(*dialogues: Dialogue, count: int = 3) -> Record:
    boxes = np.array([[60.0 * i, 0, 60 * i + 50, 50] for i in range(count)])
    labels = tuple(f"thing{i}" for i in range(count))
    return Record(ImageRef("a.jpg", SIZE), boxes, dialogues, labels=labels, id="a", meta={"k": 1})


def mapping(*objects: tuple[int, ...], own: tuple[int | None, ...] | None = None) -> Matching:
    """objects: for each shown region, the true objects it shows."""
    total = len(own) if own is not None else 3
    matches = np.zeros((len(objects), total), dtype=bool)
    for region, targets in enumerate(objects):
        matches[region, list(targets)] = True
    # Later regions overlap more.
    overlap = matches * (0.5 + 0.01 * np.arange(len(objects), dtype=np.float32))[:, None]
    if own is None:
        best = [np.flatnonzero(matches[:, i]) for i in range(total)]
        own = tuple(int(rows[-1]) if len(rows) else None for rows in best)
    boxes = np.array([[10.0 * i, 0, 10 * i + 5, 5] for i in range(len(objects))]).reshape(-1, 4)
    return Matching(Regions.of(boxes, SIZE), overlap, matches, np.zeros(len(objects), bool), own)


def answers(changed: Record) -> list[str]:
    return [turn.text for dialogue in changed.dialogues for turn in dialogue if turn.role == "assistant"]


def test_boxes_labels_and_scores_are_those_shown() -> None:
    matching = mapping((2,), (), (0,), (1, 2))
    changed = renumber(record(), matching).record
    np.testing.assert_array_equal(changed.boxes, matching.shown.xyxy)
    assert changed.scores == (1.0,) * 4
    assert changed.labels == ("thing2", None, "thing0", "thing1")
    assert (changed.id, changed.meta, changed.image) == ("a", {"k": 1}, ImageRef("a.jpg", SIZE))


def test_lists_are_ascending_after_renumbering() -> None:
    asked = record(talk("Detect.", grounded("thing", 0, 1, 2) + grounded("other", 1)))
    changed = renumber(asked, mapping((2,), (), (1,), (0,))).record
    assert answers(changed) == [grounded("thing", 0, 2, 3) + grounded("other", 2)]


def test_all_proposals_of_an_object_are_named_each_once() -> None:
    asked = record(talk("Detect.", grounded("thing", 0, 1)))
    changed = renumber(asked, mapping((0,), (1,), (0, 1), (2,))).record
    assert answers(changed) == [grounded("thing", 0, 1, 2)]


def test_what_is_lost_is_left_out_or_its_dialogue_dropped() -> None:
    asked = record(talk("Some.", grounded("a", 0, 1)), talk("All.", grounded("b", 2)), talk("Hi.", "Hello."))
    only_first = mapping((), (0,))
    short = renumber(asked, only_first)
    assert answers(short.record) == [grounded("a", 1), grounded("b"), "Hello."] and short.dropped == ()
    strict = renumber(asked, only_first, lost="drop")
    assert answers(strict.record) == ["Hello."] and strict.dropped == (0, 1)


def test_absent_labels_stay_absent() -> None:
    asked = record(talk("Detect.", grounded("unicorn") + grounded("a", 0)))
    changed = renumber(asked, mapping((1,), (0,)), lost="drop").record
    assert answers(changed) == [grounded("unicorn") + grounded("a", 1)]


def test_text_around_lists_stays() -> None:
    text = f"Well: {grounded('a cup', 0)} beside\n{grounded('plates', 1, 2)}, they say."
    changed = renumber(record(talk("Tell.", text)), mapping((2,), (1,), (0,))).record
    assert answers(changed) == [f"Well: {grounded('a cup', 2)} beside\n{grounded('plates', 0, 1)}, they say."]


@pytest.mark.parametrize("inside", ["<region1>, <region0>", " <region0> <region1> ", "<region1>\n<region0>"])
def test_untidy_lists_become_tidy(inside: str) -> None:
    asked = record(talk("Detect.", f"<ground>a</ground><objects>{inside}</objects>"))
    assert answers(renumber(asked, mapping((0,), (1,))).record) == [grounded("a", 0, 1)]


def test_questions_name_the_best_region() -> None:
    asked = record(talk("Describe <region0> and <region2>.", "They are <region2> left of <region0>."))
    changed = renumber(asked, mapping((0,), (0,), (2,), (0,))).record
    assert changed.dialogues[0][0].text == "Describe <region3> and <region2>."
    assert answers(changed) == ["They are <region2> left of <region3>."]


@pytest.mark.parametrize("where", ["question", "answer", "unfinished list", "unknown"])
def test_running_text_cannot_do_without_its_region(where: str) -> None:
    texts = {
        "question": talk("Describe <region1>.", "A cup."),
        "answer": talk("Which?", "The one called <region1>."),
        "unfinished list": talk("Which?", "<objects><region1>"),
        "unknown": talk("Describe <region7>.", "A cup."),
    }
    result = renumber(record(texts[where], talk("Hi.", "Hello.")), mapping((0,), (2,)))
    assert answers(result.record) == ["Hello."] and result.dropped == (0,)


def test_a_list_with_unknown_regions() -> None:
    result = renumber(record(talk("Which?", grounded("a", 0, 9))), mapping((0,)))
    assert answers(result.record) == [grounded("a", 0)]
    assert renumber(record(talk("Which?", grounded("a", 0, 9))), mapping((0,)), lost="drop").dropped == (0,)


def test_the_reference_of_a_visual_prompt_is_not_its_answer() -> None:
    # Region 1 shows both the reference and another object of its kind.
    asked = record(talk("All like <region0>?", grounded("cup", 1, 2)))
    changed = renumber(asked, mapping((2,), (0, 1), (1,), own=(1, 2, 0))).record
    assert changed.dialogues[0] == talk("All like <region1>?", grounded("cup", 0, 2))
    itself = record(talk("All like <region0>?", grounded("cup", 0, 2)))
    changed = renumber(itself, mapping((2,), (0, 1), (1,), own=(1, 2, 0))).record
    assert answers(changed) == [grounded("cup", 0, 1)]


COUNTED = talk("How many cups?", grounded("cup", 0, 1) + "\nThere are 2 cups.")


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        (COUNTED, True),
        (talk("How many?", grounded("cup", 0, 1) + " two"), True),
        (talk("Describe.", grounded("two dogs", 0, 1) + " are running."), True),
        (talk("Detect.", grounded("7-up bottle", 0) + grounded("one-way sign", 1)), False),
        (talk("How many?", "There are 2."), False),
        (talk("How many?", grounded("cup") + "0"), False),
        (talk("Which 2?", grounded("cup", 1)), False),
        (talk("Hi.", "Hello.", "How many?", grounded("cup", 0) + "1"), True),
    ],
)
def test_what_counts(dialogue: Dialogue, expected: bool) -> None:
    assert counts(dialogue) is expected


def test_counting_names_each_object_once() -> None:
    asked = record(COUNTED, talk("Detect.", grounded("cup", 0, 1)))
    changed = renumber(asked, mapping((0,), (1,), (0,), (1,))).record
    assert answers(changed) == [grounded("cup", 2, 3) + "\nThere are 2 cups.", grounded("cup", 0, 1, 2, 3)]


@pytest.mark.parametrize("matching", [mapping((0,)), mapping((0, 1), own=(0, None, None))])
def test_counting_is_dropped_when_an_object_is_missing_or_shares_its_region(matching: Matching) -> None:
    result = renumber(record(COUNTED, talk("Detect.", grounded("cup", 0, 1))), matching)
    assert result.dropped == (0,) and answers(result.record) == [grounded("cup", 0)]


def test_who_must_be_whole_can_be_said() -> None:
    asked = record(talk("The left cup?", grounded("the left cup", 0)))
    assert renumber(asked, mapping((1,)), whole=lambda dialogue: "left" in dialogue[0].text).dropped == (0,)


def test_a_conversation_is_dropped_as_a_whole() -> None:
    asked = record(talk("Hi.", "Hello.", "Describe <region1>.", "A cup.", "And?", grounded("cup", 0)))
    assert renumber(asked, mapping((0,))).dropped == (0,)
    kept = renumber(asked, mapping((1,), (0,))).record.dialogues[0]
    assert [turn.text for turn in kept[2:]] == ["Describe <region0>.", "A cup.", "And?", grounded("cup", 1)]


def test_system_messages_stay() -> None:
    told = (Turn("system", "Be kind."), *talk("Which?", grounded("a", 0)))
    assert renumber(record(told), mapping((1,), (0,))).record.dialogues[0][0] == Turn("system", "Be kind.")


def test_another_number_of_objects() -> None:
    with pytest.raises(RecordError, match="2 boxes, but 3 objects"):
        renumber(record(count=2), mapping((0,)))


def test_the_record_itself_is_not_changed() -> None:
    asked = record(COUNTED)
    before = asked.to_json()
    renumber(asked, mapping((1,), (0,)))
    assert asked.to_json() == before


def scene(r: np.random.Generator) -> Record:
    """Random objects of three labels, asked about in every way."""
    count = int(r.integers(1, 9))
    corner, side = r.uniform(0, 250, (count, 2)), r.uniform(10, 60, (count, 2))
    labels = [str(label) for label in r.choice(["cup", "dog", "car"], count)]
    groups = {label: [i for i, name in enumerate(labels) if name == label] for label in dict.fromkeys(labels)}
    asked = ", ".join(groups)
    some = int(r.integers(count))
    return Record(
        ImageRef("a.jpg", SIZE, Path("x")),
        np.concatenate([corner, corner + side], axis=1),
        (
            talk(f"Detect {asked}.", "".join(grounded(label, *rows) for label, rows in groups.items())),
            *(talk(f"How many {k}?", grounded(k, *rows) + f" {len(rows)}") for k, rows in groups.items()),
            talk(f"Describe <region{some}>.", f"A {labels[some]}."),
        ),
        labels=tuple(labels),
    )


@pytest.mark.parametrize("seed", range(60))
def test_every_answer_is_still_true(seed: int) -> None:
    r = np.random.default_rng(seed)
    whole = scene(r)
    truth = whole.boxes
    boxes = np.concatenate(
        [
            truth[r.integers(0, len(truth), 12)] + r.uniform(-8, 8, (12, 4)),
            [
                [*c, *(c + s)]
                for c, s in zip(r.uniform(0, 250, (6, 2)), r.uniform(10, 60, (6, 2)), strict=True)
            ],
        ]
    )
    mix = ProposalMix(
        share_truth=float(r.choice([0, 0.5, 1])),
        jitter=0.1,
        duplicates=str(r.choice(["name", "hide"])),  # type: ignore[arg-type]
        unmatched=str(r.choice(["drop", "add"])),  # type: ignore[arg-type]
    )
    result, matching = reshown(whole, Regions.of(boxes, SIZE), mix, r)
    changed = result.record
    assert len(changed.dialogues) + len(result.dropped) == len(whole.dialogues)
    overlap = iou(changed.boxes, truth)
    for dialogue in changed.dialogues:
        question, answer = (turn.text for turn in dialogue)
        assert all(n < len(changed.boxes) for n in named_regions(question + answer))
        for found in parse_answer(answer, len(changed.boxes)).groundings:
            alike = [i for i, label in enumerate(whole.labels or ()) if label == found.phrase]
            assert list(found.regions) == sorted(set(found.regions))
            assert all(overlap[region, alike].max() >= mix.match_iou for region in found.regions)
            counted = re.search(r" (\d+)$", answer)
            if counted:
                assert len(found.regions) == int(counted.group(1)) == len(alike)
            else:
                # And the whole truth: nothing that shows such an object is left out.
                right = {row for i in alike for row in matching.regions(i)}
                assert set(found.regions) == right
        if question.startswith("Describe"):
            (region,) = named_regions(question)
            assert changed.labels is not None and f"A {changed.labels[region]}." == answer
    if mix.unmatched == "add":
        assert result.dropped == ()


def test_the_truth_alone_renumbers_to_itself() -> None:
    whole = scene(np.random.default_rng(4))
    result, _ = reshown(whole, None, ProposalMix(shuffle=False), np.random.default_rng(0))
    assert result.record.to_json() == {**whole.to_json(), "scores": [1.0] * len(whole.boxes)}


def test_the_truth_alone_needs_a_size() -> None:
    nowhere = replace(record(), image=ImageRef("b.jpg"))
    with pytest.raises(RecordError, match=r"b\.jpg: key 'size'"):
        reshown(nowhere, None, ProposalMix(), np.random.default_rng(0))


def test_crowds_of_the_record_are_not_shown() -> None:
    crowded = replace(record(), meta={"ignored": [{"label": "crowd", "box": [200, 200, 300, 300]}]})
    regions = Regions.of([[210, 210, 240, 240], [20, 200, 40, 220]], SIZE)
    _, matching = reshown(crowded, regions, ProposalMix(), np.random.default_rng(0))
    assert matching.shown.xyxy.tolist() == [[20, 200, 40, 220]]
    for wrong in ([[1, 2]], [{"box": [1, 2]}], [{"label": "crowd"}], 5):
        with pytest.raises(RecordError, match="'ignored' in 'meta'"):
            reshown(
                replace(record(), meta={"ignored": wrong}), regions, ProposalMix(), np.random.default_rng(0)
            )

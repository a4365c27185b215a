"""What an exercise of a record asks and teaches: in words, and where regions are scored."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from fo1.data.exercise import Exercise
from fo1.data.packing import Packer
from fo1.data.record import Dialogue, ImageRef, Record, Turn
from fo1.data.settings import SettingError
from fo1.errors import PromptError
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.conversation import Shown
from fo1.prompts.conversation import Turn as PromptTurn
from fo1.prompts.vocabulary import RegionVocabulary
from tiny import byte_tokenizer

BRIEF: dict[str, Any] = {"start": "<|im_start|>", "system": "Be kind.", "region_slots": False}
FORMATS: list[dict[str, Any]] = [
    {},
    BRIEF,
    {"after_answer": "\n"},
    {"stop": "<|im_end|>", "after_answer": "!<|im_end|>;"},
]


def builder(**chat: Any) -> PromptBuilder:
    tokenizer = byte_tokenizer()
    return PromptBuilder(tokenizer, RegionVocabulary.extend(tokenizer, 5), ChatFormat(**chat))


def talk(*texts: str, system: str | None = None) -> Dialogue:
    told = () if system is None else (Turn("system", system),)
    return told + tuple(Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def record(*dialogues: Dialogue, regions: int = 3) -> Record:
    return Record(ImageRef("a.jpg"), np.zeros((regions, 4)), dialogues)


DETECT = talk("Detect cup.", "<ground>cup</ground><objects><region0><region2></objects>")
CHAT = talk("What is <region1>?", "A dog.", "And <region9>?", "Not there.", "Sure?", "Yes: <region2>.")
TOLD = talk("Hi.", "Hello.", system="Answer <region0> briefly.")
TOLD_TOO = talk("Bye.", "See you.", system="Answer <region0> briefly.")


def plain(prompts: PromptBuilder, image: list[int], regions: int, dialogue: Dialogue) -> list[int]:
    """Ids of a dialogue up to its last answer, as the model would be asked."""
    turns = [PromptTurn(turn.role, [turn.text]) for turn in dialogue[:-1]]
    first = next(i for i, turn in enumerate(turns) if turn.role == "user")
    turns[first] = PromptTurn("user", [Shown(image, regions), *turns[first].parts])
    return prompts.conversation(turns)


def answers(exercise: Exercise) -> list[int]:
    """The segments that the model writes."""
    return [segment for segment, written in enumerate(exercise.tree.answers) if written]


def written(exercise: Exercise) -> list[int]:
    return [word.token for word in exercise.words]


def text(prompts: PromptBuilder, ids: list[int]) -> str:
    return prompts.tokenizer.decode(ids)


@pytest.mark.parametrize("chat", FORMATS)
@pytest.mark.parametrize("regions", [0, 3])
def test_every_dialogue_reads_as_the_plain_conversation(chat: dict[str, Any], regions: int) -> None:
    prompts = builder(**chat)
    image = [prompts.vocabulary.image_slot] * 4
    asked = record(DETECT, CHAT, TOLD, TOLD_TOO, talk("Hi.", "Hello."), regions=regions)
    exercises = Packer(prompts, 10_000)(asked, image).exercises
    assert sorted(n for one in exercises for n in one.dialogues) == [0, 1, 2, 3, 4]
    for one in exercises:
        for segment, number in zip(answers(one), one.dialogues, strict=True):
            dialogue = asked.dialogues[number]
            expected = plain(prompts, image, regions, dialogue)
            expected += [*prompts.answer_text(dialogue[-1].text, regions), prompts.stop_id]
            assert one.tree.path(segment) == expected


def test_dialogues_share_the_prefix_of_their_system_message() -> None:
    exercises = Packer(builder(), 10_000)(record(DETECT, TOLD, CHAT, TOLD_TOO), [7]).exercises
    assert [one.dialogues for one in exercises] == [[0, 2], [1, 3]]
    assert [one.tree.parents for one in exercises] == [[-1, 0, 1, 0, 3]] * 2


@pytest.mark.parametrize("chat", FORMATS)
def test_answers_and_their_stops_are_learnt_and_nothing_else(chat: dict[str, Any]) -> None:
    prompts = builder(**chat)
    (exercise,) = Packer(prompts, 10_000)(record(CHAT, DETECT), [7]).exercises
    stop = [prompts.stop_id]
    between = stop if prompts.chat.stop in prompts.chat.after_answer else []
    said = [prompts.answer_text(turn.text, 3) for turn in (*CHAT[1::2], *DETECT[1::2])]
    assert written(exercise) == said[0] + between + said[1] + between + said[2] + stop + said[3] + stop
    assert not exercise.picks


@pytest.mark.parametrize("chat", FORMATS)
def test_every_word_follows_its_place(chat: dict[str, Any]) -> None:
    prompts = builder(**chat)
    (exercise,) = Packer(prompts, 10_000)(record(CHAT, DETECT), [7]).exercises
    tree = exercise.tree
    tokens, positions, seen = tree.tokens(), tree.positions(), tree.mask()
    for place, token in exercise.words:
        after = (positions == positions[place] + 1) & (tokens == token) & seen[:, place]
        assert after.sum() == 1


def test_scored_regions_are_picks_and_not_words() -> None:
    """Each label is asked for as `detect` asks, up to where its regions would be named."""
    prompts = builder()
    both = talk("Find.", DETECT[1].text + " <ground> a dog </ground><objects>None</objects>")
    (exercise,) = Packer(prompts, 10_000, scored=True)(record(both), [7]).exercises
    cup, dog = exercise.picks
    assert (cup.phrase, cup.target.tolist()) == ("cup", [1, 0, 1])
    assert (dog.phrase, dog.target.tolist()) == ("a dog", [0, 0, 0])
    root = prompts.prefix([7], 3) + prompts.question("Find.", 3)
    for pick, segment in zip(exercise.picks, answers(exercise), strict=True):
        assert pick.place == exercise.tree.last(segment)
        assert exercise.tree.path(segment) == root + prompts.naming(pick.phrase, 3)
    assert not exercise.words and exercise.places == [cup.place, dog.place]


def test_what_is_said_after_the_labels_is_learnt_too() -> None:
    prompts = builder()
    counting = talk("How many?", DETECT[1].text + "2")
    (exercise,) = Packer(prompts, 10_000, scored=True)(record(counting), [7]).exercises
    assert [pick.phrase for pick in exercise.picks] == ["cup"]
    said = "<ground>cup</ground><objects></objects>2"
    assert written(exercise) == [*prompts.answer_text(said, 3), prompts.stop_id]


def test_with_one_question_for_all_labels_regions_are_picked_below_it_and_words_are_not() -> None:
    prompts = builder(pointing="Point.")
    counting = talk("How many?", DETECT[1].text + "2")
    told = record(DETECT, counting, CHAT)
    (exercise,) = Packer(prompts, 10_000, scored=True)(told, [7]).exercises
    below = {exercise.tree.parents[exercise.tree.segment(pick.place)] for pick in exercise.picks}
    assert [pick.phrase for pick in exercise.picks] == ["cup", "cup"] and len(below) == 1
    shown = prompts.prefix([7], 3)
    assert exercise.tree.path(below.pop()) == shown + prompts.question("Point.", 3)
    asked = [exercise.tree.ids[exercise.tree.parents[segment]] for segment in answers(exercise)]
    assert prompts.question("How many?", 3) in asked and prompts.question("Detect cup.", 3) not in asked


@pytest.mark.parametrize(
    "dialogue",
    [talk("Describe.", "A <ground>cup</ground><objects><region0></objects>."), (*CHAT[:2], *DETECT)],
)
def test_scored_regions_within_talk_are_read_only(dialogue: Dialogue) -> None:
    """There is no telling which label comes next, so no label is asked for."""
    prompts = builder()
    regions = {prompts.vocabulary.region(i) for i in range(3)}
    (read,) = Packer(prompts, 10_000, scored=True)(record(dialogue), [7]).exercises
    (said,) = Packer(prompts, 10_000)(record(dialogue), [7]).exercises
    assert not read.picks and read.tree == said.tree
    assert set(written(said)) & regions
    assert written(read) == [token for token in written(said) if token not in regions]


def test_ambiguous_regions_teach_nothing_of_any_label() -> None:
    unclear = np.array([False, True, True])
    (exercise,) = Packer(builder(), 10_000, scored=True)(record(DETECT), [7], unclear).exercises
    assert exercise.picks[0].target.isnan().tolist() == unclear.tolist()
    assert exercise.picks[0].target[0] == 1


@pytest.mark.parametrize("scored", [False, True])
def test_without_regions_no_added_word_is_learnt(scored: bool) -> None:
    prompts = builder()
    tags = talk("Tags?", "<ground>cup</ground>, and <region1>.")
    (exercise,) = Packer(prompts, 10_000, scored)(record(tags, regions=0), [7]).exercises
    assert text(prompts, written(exercise)) == "cup, and <region1>.<|im_end|>"
    assert max(written(exercise)) < prompts.vocabulary.first_region


def test_a_dialogue_that_teaches_nothing_is_left_out() -> None:
    packing = Packer(builder(), 10_000, scored=True)(record(DETECT, TOLD, regions=0), [7])
    assert [one.dialogues for one in packing.exercises] == [[1]] and packing.too_long == ()


@pytest.mark.parametrize("scored", [False, True])
def test_what_finds_no_room_goes_into_another_exercise(scored: bool) -> None:
    prompts = builder()
    rng = random.Random(0)
    dialogues = [talk("Say " + "x" * rng.randrange(40), "y" * rng.randrange(1, 40)) for _ in range(30)]
    dialogues[7:7] = [DETECT] * 3
    dialogues.insert(4, talk("Long?", "z" * 500))
    asked = record(*dialogues)
    for limit in (250, 400, 10_000):
        packing = Packer(prompts, limit, scored)(asked, [7])
        assert all(len(one) <= limit for one in packing.exercises)
        done = [n for one in packing.exercises for n in one.dialogues]
        assert sorted([*done, *packing.too_long]) == list(range(34))
        assert packing.too_long == ((4,) if limit < 600 else ())
        assert all(one.dialogues == sorted(one.dialogues) for one in packing.exercises)
    assert len(packing.exercises) == 1


def test_left_out_dialogues_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    packing = Packer(builder(), 20)(record(DETECT, CHAT), [7])
    assert packing.exercises == () and packing.too_long == (0, 1)
    assert "a.jpg: dialogue 0 is longer than 20 tokens" in caplog.text and "dialogue 1" in caplog.text


def test_a_record_without_dialogues() -> None:
    assert Packer(builder(), 100)(record(), [7]).exercises == ()


@pytest.mark.parametrize(
    ("dialogue", "words"),
    [
        ((), "ends with the assistant"),
        (talk("Hi."), "ends with the assistant"),
        ((Turn("assistant", "Hi."),), "take turns"),
        ((*DETECT, DETECT[1]), "take turns"),
        (talk("Hi.", "Hello.", "And?"), "ends with the assistant"),
    ],
)
def test_what_is_no_dialogue(dialogue: Dialogue, words: str) -> None:
    with pytest.raises(PromptError, match=words):
        Packer(builder(), 1000)(record(dialogue), [7])


def test_more_regions_than_names() -> None:
    with pytest.raises(PromptError, match="6 regions, but the model can name 5"):
        Packer(builder(), 1000)(record(DETECT, regions=6), [7])


def test_no_room_at_all() -> None:
    with pytest.raises(SettingError, match="at least 1 token"):
        Packer(builder(), 0)

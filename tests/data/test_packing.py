from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from fo1.data.packing import UNLEARNT, Packed, Packer
from fo1.data.record import Dialogue, ImageRef, Record, Turn
from fo1.data.settings import SettingError
from fo1.errors import PromptError
from fo1.model import additive
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.conversation import Shown
from fo1.prompts.conversation import Turn as PromptTurn
from fo1.prompts.vocabulary import RegionVocabulary
from tiny import byte_tokenizer, llama

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


def branches(packed: Packed) -> list[int]:
    return list(range(1, len(packed.tree.ids)))


@pytest.mark.parametrize("chat", FORMATS)
@pytest.mark.parametrize("regions", [0, 3])
def test_every_branch_reads_as_the_plain_conversation(chat: dict[str, Any], regions: int) -> None:
    prompts = builder(**chat)
    image = [prompts.vocabulary.image_slot] * 4
    asked = record(DETECT, CHAT, TOLD, TOLD_TOO, talk("Hi.", "Hello."), regions=regions)
    packing = Packer(prompts, 10_000)(asked, image)
    assert sorted(n for packed in packing.trees for n in packed.dialogues) == [0, 1, 2, 3, 4]
    for packed in packing.trees:
        positions = packed.tree.positions()
        for segment, number in zip(branches(packed), packed.dialogues, strict=True):
            dialogue = asked.dialogues[number]
            expected = plain(prompts, image, regions, dialogue)
            expected += [*prompts.answer_text(dialogue[-1].text, regions), prompts.stop_id]
            assert packed.tree.path(segment) == expected
            start, last = packed.tree.offsets[segment], packed.tree.last(segment)
            shared = len(packed.tree.ids[0])
            assert positions[start : last + 1].tolist() == list(range(shared, len(expected)))
            assert positions[:shared].tolist() == list(range(shared))


def test_dialogues_share_the_prefix_of_their_system_message() -> None:
    prompts = builder()
    packing = Packer(prompts, 10_000)(record(DETECT, TOLD, CHAT, TOLD_TOO), [7])
    assert [packed.dialogues for packed in packing.trees] == [[0, 2], [1, 3]]
    assert all(set(packed.tree.parents[1:]) == {0} for packed in packing.trees)


def test_branches_do_not_see_each_other() -> None:
    packed = Packer(builder(), 10_000)(record(DETECT, CHAT, DETECT), [7]).trees[0]
    mask, tree = packed.tree.mask(), packed.tree
    shared = len(tree.ids[0])
    for a in branches(packed):
        rows = slice(tree.offsets[a], tree.last(a) + 1)
        size = len(tree.ids[a])
        assert mask[rows, :shared].all()
        assert mask[rows, rows].equal(torch.ones(size, size).tril().bool())
        for b in branches(packed):
            assert a == b or not mask[rows, tree.offsets[b] : tree.last(b) + 1].any()


def test_a_model_reads_a_branch_as_if_it_stood_alone() -> None:
    prompts = builder()
    packed = Packer(prompts, 10_000)(record(DETECT, CHAT, TOLD), [7]).trees[0]
    base = llama(len(prompts.tokenizer))
    labels = packed.labels()
    with torch.inference_mode():
        logits = base(
            input_ids=packed.tree.tokens()[None],
            position_ids=packed.tree.positions()[None],
            attention_mask=additive(packed.tree.mask()[None], torch.float32),
        ).logits[0]
        packed_loss = torch.nn.functional.cross_entropy(
            logits[:-1], labels[1:], ignore_index=UNLEARNT, reduction="sum"
        )
        alone = torch.zeros(())
        for ids, learnt in packed.rows():
            row, bears = torch.tensor(ids), torch.tensor(learnt)
            alone += torch.nn.functional.cross_entropy(
                base(input_ids=row[None]).logits[0, :-1],
                row.masked_fill(~bears, UNLEARNT)[1:],
                reduction="sum",
            )
    torch.testing.assert_close(packed_loss, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chat", FORMATS)
def test_only_answers_and_their_stops_bear_loss(chat: dict[str, Any]) -> None:
    prompts = builder(**chat)
    asked = record(CHAT, DETECT)
    (packed,) = Packer(prompts, 10_000)(asked, [7]).trees
    labels, stop = packed.labels(), [prompts.stop_id]
    assert (labels[packed.loss_mask()] == packed.tree.tokens()[packed.loss_mask()]).all()
    assert (labels[~packed.loss_mask()] == UNLEARNT).all()
    between = stop if prompts.chat.stop in prompts.chat.after_answer else []
    said = [prompts.answer_text(turn.text, 3) for turn in (*CHAT[1::2], *DETECT[1::2])]
    assert labels[labels != UNLEARNT].tolist() == (
        said[0] + between + said[1] + between + said[2] + stop + said[3] + stop
    )
    assert not any(packed.learnt[0]) and not any(segment[0] for segment in packed.learnt)


def test_rows_are_the_branches() -> None:
    packed = Packer(builder(), 10_000)(record(DETECT, CHAT), [7]).trees[0]
    rows = packed.rows()
    assert [ids for ids, _ in rows] == [packed.tree.path(segment) for segment in branches(packed)]
    assert all(len(ids) == len(learnt) for ids, learnt in rows)
    assert sum(sum(learnt) for _, learnt in rows) == int(packed.loss_mask().sum())


def test_what_finds_no_room_goes_into_another_tree() -> None:
    prompts = builder()
    rng = random.Random(0)
    dialogues = [talk("Say " + "x" * rng.randrange(40), "y" * rng.randrange(1, 40)) for _ in range(30)]
    dialogues.insert(4, talk("Long?", "z" * 500))
    asked = record(*dialogues)
    for limit in (250, 400, 10_000):
        packing = Packer(prompts, limit)(asked, [7])
        assert all(len(packed) <= limit for packed in packing.trees)
        done = [n for packed in packing.trees for n in packed.dialogues]
        assert sorted([*done, *packing.too_long]) == list(range(31))
        assert packing.too_long == ((4,) if limit < 600 else ())
        assert all(packed.dialogues == sorted(packed.dialogues) for packed in packing.trees)
        again = Packer(prompts, limit)(asked, [7])
        assert [p.tree.ids for p in again.trees] == [p.tree.ids for p in packing.trees]
    assert len(packing.trees) == 1


def test_left_out_dialogues_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert Packer(builder(), 20)(record(DETECT, CHAT), [7]).trees == ()
    assert "a.jpg: dialogue 0 is longer than 20 tokens" in caplog.text and "dialogue 1" in caplog.text


def test_a_record_without_dialogues() -> None:
    assert Packer(builder(), 100)(record(), [7]).trees == ()


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

"""Every prompt that was put to the official code: the same token ids, or the better behaviour we chose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fo1 import FO1, Message, PromptError, Scene
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.conversation import Shown, Turn
from fo1.trace import IMAGE, marked
from golden.recordings import HERE, picture, prompts

PROMPTS = {one["name"]: one for one in prompts()}
FACTS = json.loads((HERE / "tokenizer_facts.json").read_text(encoding="utf-8"))
PAD = 151655  # stands for a patch of the image
SIGHT = (FACTS["special"]["<|vision_start|>"], PAD, PAD, FACTS["special"]["<|vision_end|>"])
MODEL_SPEAKS = [151644, 77091, 198]  # <|im_start|>assistant\n


@pytest.fixture
def builder(released: FO1) -> PromptBuilder:
    return released.model.prompts


@pytest.fixture
def ids(released: FO1):
    """Our ids for messages in the recorded form, marked as the recorded ones are."""

    def build(messages: Sequence[dict[str, Any]]) -> list[int]:
        turns = [Turn(message["role"], parts(message)) for message in messages]
        return marked(released.model, [PAD], released.model.prompts.conversation(turns))

    return build


def parts(message: dict[str, Any]) -> list[str | Shown]:
    """Of several images, the boxes belong to the first."""
    content = message["content"]
    if isinstance(content, str):
        return [content]
    left = [message.get("boxes", 0)]
    return [
        part["text"] if part["type"] == "text" else Shown(SIGHT, left.pop() if left else 0)
        for part in content
    ]


def official(name: str) -> list[int]:
    return PROMPTS[name]["input_ids"]


def opening() -> list[int]:
    """What comes before the user's turn: the default system message."""
    ids = official("od_boxes_default_system")
    return ids[: ids.index(151644, 1)]


# ---- The same


@pytest.mark.parametrize("name", ["od_boxes_default_system", "od_boxes_explicit_system"])
def test_prompts_as_recorded(ids, name: str) -> None:
    assert ids(PROMPTS[name]["messages"]) == official(name)


def test_a_system_message_alone(builder: PromptBuilder) -> None:
    (message,) = PROMPTS["message_context_system"]["messages"]
    assert builder.opening(message["content"]) == official("message_context_system")


def test_a_turn_without_boxes(ids) -> None:
    """Recorded is the user's turn alone; the whole prompt crashed, with no boxes and with an empty list."""
    for name in ("message_context_no_boxes", "no_boxes_none", "no_boxes_empty"):
        assert (
            ids(PROMPTS[name]["messages"]) == opening() + official("message_context_no_boxes") + MODEL_SPEAKS
        )


def test_the_tokenizer(builder: PromptBuilder) -> None:
    tokenizer, vocabulary = builder.tokenizer, builder.vocabulary
    for word, number in FACTS["special"].items():
        assert builder.template(word) == [number]
    for word, plain in FACTS["not_tokens"].items():
        assert builder.template(word) == builder.user_text(word, 100) == plain
    assert len(tokenizer) == FACTS["len"]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (FACTS["pad_token_id"], FACTS["eos_token_id"])
    assert (vocabulary.region(0), vocabulary.region(99)) == (151665, 151764)
    assert vocabulary.tags == {word: FACTS["special"][word] for word in vocabulary.tags}
    # The slot of a region's feature is an id that no text can become.
    assert vocabulary.region_slot >= FACTS["len"]
    assert builder.stop_id == FACTS["special"]["<|im_end|>"]


# ---- Better


def test_the_word_system_leaves_the_system_message_alone(ids) -> None:
    name = "word_system_in_user_text_drops_default_system"
    assert ids(PROMPTS[name]["messages"]) == opening() + official(name)


def test_placeholders_in_a_text_are_plain_but_regions_are_regions(ids, builder: PromptBuilder) -> None:
    one = PROMPTS["user_text_contains_placeholders"]
    ours, theirs = ids(one["messages"]), one["input_ids"]
    typed = theirs.index(74785)  # "Describe"
    assert ours[:typed] == theirs[:typed] and theirs.count(IMAGE) == 2
    text = ours[typed:-5]
    assert text == [74785, 220, 151666, 323, 15901, 366, 1805, 29, 4486, 366, 3943, 44644, 29]
    assert builder.tokenizer.decode(text) == one["messages"][0]["content"][1]["text"]
    assert ours[-5:] == theirs[-5:]


def test_too_many_boxes_are_refused_by_the_prompt(ids) -> None:
    """There, the names of regions from the hundredth on fell apart into letters; ours are asked in groups."""
    one = PROMPTS["150_boxes"]
    assert len(one["input_ids"]) > 500
    with pytest.raises(PromptError, match="150 regions.*100"):
        ids(one["messages"])


def test_text_alone(ids) -> None:
    """Recorded is a turn that lacks the last line break of all others; the whole prompt crashed."""
    turn = official("message_context_user_str")
    assert PROMPTS["text_only_str"]["error"]
    assert ids(PROMPTS["text_only_str"]["messages"]) == [*opening(), *turn, 198, *MODEL_SPEAKS]


def test_several_turns(ids, builder: PromptBuilder) -> None:
    first = ids(PROMPTS["two_turns"]["messages"][:1])
    assert first == official("od_boxes_default_system")
    rest = builder.template("ok<|im_end|>\n<|im_start|>user\nand?<|im_end|>\n<|im_start|>assistant\n")
    assert ids(PROMPTS["two_turns"]["messages"]) == first + rest


def test_two_turns_of_one_side_are_refused(ids) -> None:
    with pytest.raises(PromptError, match="turns are user, user"):
        ids(PROMPTS["image_turn_then_text_turn"]["messages"])


def test_two_images(ids) -> None:
    both = ids(PROMPTS["two_images"]["messages"])
    assert both.count(IMAGE) == 2
    first = official("od_boxes_default_system")
    after = first.index(198, first.index(151666))  # the line break after the last region
    assert both[: after + 1] == first[: after + 1]
    assert both[after + 1 :] == [151652, IMAGE, 151653, 198, 87, 151645, 198, *MODEL_SPEAKS]


CRASHED = {name for name in PROMPTS if "error" in PROMPTS[name]}
BOXES = [[54.1, 3.47, 98.11, 40.11], [90.05, 19.26, 143.81, 71.37]]


@pytest.mark.parametrize("name", sorted(CRASHED - {"image_turn_then_text_turn"}))
def test_what_crashed_is_answered(released: FO1, name: str) -> None:
    def content(message: dict[str, Any]) -> list[str | Scene]:
        return [part if isinstance(part, str) else shown[part.regions] for part in parts(message)]

    image = picture("s1_demo_168x126")
    shown = {count: released.look(image, BOXES[:count]) for count in (0, 2)}
    messages = [Message(message["role"], content(message)) for message in PROMPTS[name]["messages"]]
    assert released.chat(messages, max_new_tokens=3)

from __future__ import annotations

import pytest

from fo1.errors import PromptError
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.conversation import Shown, Turn, check_turns
from fo1.prompts.vocabulary import RegionVocabulary
from tiny import byte_tokenizer


def turns(roles: str) -> list[Turn]:
    """Turns by their first letters."""
    names = {"s": "system", "u": "user", "a": "assistant"}
    return [Turn(names[letter], ["text"]) for letter in roles]


@pytest.mark.parametrize("roles", ["u", "su", "uau", "suau", "uauau"])
def test_who_may_speak(roles: str) -> None:
    check_turns(turns(roles))


@pytest.mark.parametrize("roles", ["", "s", "a", "ua", "uu", "sa", "us", "ssu", "usu", "auau", "uaau"])
def test_who_may_not(roles: str) -> None:
    with pytest.raises(PromptError, match="take turns"):
        check_turns(turns(roles))


def test_images_are_the_users() -> None:
    check_turns([Turn("user", [Shown([1], 0)])])
    for role in ("system", "assistant"):
        talk = turns("suau")
        talk[0 if role == "system" else 2] = Turn(role, [Shown([1], 0), "text"])
        with pytest.raises(PromptError, match=f"an image in a turn of the {role}"):
            check_turns(talk)


@pytest.mark.parametrize("parts", [[], [""], [" ", "\n"]])
def test_the_last_turn_says_something(parts: list[str]) -> None:
    with pytest.raises(PromptError, match="last turn is empty"):
        check_turns([*turns("ua"), Turn("user", parts)])
    check_turns([Turn("user", parts), *turns("au")])


def builder(**chat: object) -> PromptBuilder:
    tokenizer = byte_tokenizer()
    return PromptBuilder(tokenizer, RegionVocabulary.extend(tokenizer, 5), ChatFormat(**chat))


def written(prompts: PromptBuilder, talk: list[Turn]) -> str:
    return prompts.tokenizer.decode(prompts.conversation(talk))


def test_one_turn_is_a_question() -> None:
    prompts = builder(start="<|im_start|>", system="Be kind.")
    image = [prompts.vocabulary.image_slot]
    talk = [Turn("user", [Shown(image, 2), "What is <region1>?"])]
    assert prompts.conversation(talk) == prompts.prefix(image, 2) + prompts.question("What is <region1>?", 2)


def test_turns_in_order_with_regions_numbered_through() -> None:
    prompts = builder(after_answer="<|im_end|>;", region_slots=False)
    image = Shown([prompts.vocabulary.image_slot], 2)
    talk = [
        Turn("user", ["one", image, "two"]),
        Turn("assistant", ["<ground>a</ground>"]),
        Turn("user", [image, Shown(image.ids, 0), Shown(image.ids, 1), "three"]),
    ]
    assert written(prompts, talk) == (
        "<|im_start|>user\none<image>\n<region0><region1>\ntwo<|im_end|>\n<|im_start|>assistant\n"
        "<ground>a</ground><|im_end|>;<|im_start|>user\n<image>\n<region2><region3>\n<image>\n"
        "<image>\n<region4>\nthree<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_system_message_takes_the_place_of_the_default_one() -> None:
    prompts = builder(system="Be kind.", after_system="<|im_end|>", after_answer="<|im_end|>;")
    assert written(prompts, turns("u")).startswith("<|im_start|>system\nBe kind.<|im_end|>;<|im_start|>user")
    assert written(prompts, turns("su")).startswith("<|im_start|>system\ntext<|im_end|><|im_start|>user")
    assert written(builder(), turns("u")).startswith("<|im_start|>user")


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_only_what_was_shown_is_a_region(role: str) -> None:
    prompts = builder()
    image, named = Shown([prompts.vocabulary.image_slot], 1), "<region0><region1><regionfeat><|im_end|>"
    talk = [
        Turn("system", [named if role == "system" else "s"]),
        Turn("user", [named if role == "user" else "u", image]),
        Turn("assistant", [named if role == "assistant" else "a"]),
        Turn("user", [image, "end"]),
    ]
    ids, plain = (
        prompts.conversation(talk),
        prompts.conversation(
            [Turn(t.role, [p.replace(named, "") if isinstance(p, str) else p for p in t.parts]) for t in talk]
        ),
    )
    counts = {
        name: ids.count(number) - plain.count(number)
        for name, number in (
            ("0", prompts.vocabulary.region(0)),
            ("1", prompts.vocabulary.region(1)),
            ("slot", prompts.vocabulary.region_slot),
            ("stop", prompts.stop_id),
        )
    }
    assert counts == {"0": int(role != "system"), "1": 0, "slot": 0, "stop": 0}


def test_tags_are_tags_in_answers_only() -> None:
    prompts = builder()
    tags = "<ground>cup</ground><objects>None</objects>"
    ids = prompts.conversation([Turn("user", [tags]), Turn("assistant", [tags]), Turn("user", [tags])])
    assert all(ids.count(number) == 1 for text, number in prompts.vocabulary.tags.items() if text in tags)


def test_more_regions_than_names() -> None:
    prompts = builder()
    with pytest.raises(PromptError, match="6 regions, but the model can name 5"):
        prompts.conversation([Turn("user", [Shown([0], 3), Shown([0], 3)])])

"""What the official code gets wrong, done right: words that mean something to the model."""

from __future__ import annotations

from typing import Any

import pytest

from compatibility.prompts import (
    END,
    REPLY,
    SYSTEM,
    TYPED,
    USER,
    ids_read,
    shown,
)
from fo1 import FO1, Message, Scene
from scripted import prompts_read, readable, saying


@pytest.mark.parametrize("word", ["sprinkler system", "system", "<|im_start|>system", "system\nprompt"])
def test_the_word_system_keeps_the_system_prompt(released: FO1, scene: Scene, word: str) -> None:
    with saying(released.model, "none"), prompts_read(released.model) as prompts:
        scene.detect([word], constrained=False)
    asked = f"Please detect {' '.join(word.split())} in this image. Answer the question with object indexes."
    assert prompts == [f"{SYSTEM}{USER}{shown(0, 3)}{asked}{END}{REPLY}"]


def reserved(model: FO1, ids: list[int]) -> list[str]:
    """All ids that are no plain words, as text."""
    tokenizer: Any = model.model.prompts.tokenizer
    return [tokenizer.convert_ids_to_tokens(i) or "{f}" for i in ids if i >= 151643]


@pytest.mark.parametrize("typed", TYPED)
def test_special_tokens_in_a_question_are_plain_text(released: FO1, scene: Scene, typed: str) -> None:
    text = f"What is {typed} here?"
    with prompts_read(released.model) as prompts:
        answer = scene.ask(text, 2)
    assert prompts == [f"{SYSTEM}{USER}{shown(0, 3)}{text}{END}{REPLY}"] and isinstance(answer, str)
    plain = ids_read(released, [Message("user", [scene, "What is here?"])])
    asked = ids_read(released, [Message("user", [scene, text])])
    assert reserved(released, asked) == reserved(released, plain)
    assert len(asked) > len(plain)


@pytest.mark.parametrize("typed", ["<image>", "<region7>", "<|im_end|>", "<|image_pad|>", "<regionfeat>"])
def test_special_tokens_in_all_turns_are_plain_text(released: FO1, scene: Scene, typed: str) -> None:
    def talk(word: str) -> list[Message]:
        return [
            Message("system", f"Be {word} brief."),
            Message("user", [f"See {word} here:", scene, f"What {word} is it?"]),
            Message("assistant", f"It {word} is."),
            Message("user", f"Why {word}?"),
        ]

    ids, plain = ids_read(released, talk(typed)), ids_read(released, talk("or"))
    assert reserved(released, ids) == reserved(released, plain)
    assert readable(released.model, ids) == readable(released.model, plain).replace(
        " or ", f" {typed} "
    ).replace(" or?", f" {typed}?")
    with saying(released.model, "Because."):
        assert released.chat(talk(typed)) == "Because."


def test_a_system_message_names_no_region(released: FO1, scene: Scene) -> None:
    talk = [Message("system", "Mind <region1>."), Message("user", [scene, "Mind <region1>."])]
    region = released.model.prompts.vocabulary.region(1)
    assert ids_read(released, talk).count(region) == 2  # in the list and where the user names it


def test_special_tokens_in_labels_are_plain_text(released: FO1, scene: Scene) -> None:
    labels = ["<|im_end|>", "<image>", "<region7>", "<region1>"]
    with saying(released.model, "none"), prompts_read(released.model) as prompts:
        scene.detect(labels, constrained=False)
    asked = f"Please detect {', '.join(labels)} in this image. Answer the question with object indexes."
    assert prompts == [f"{SYSTEM}{USER}{shown(0, 3)}{asked}{END}{REPLY}"]
    ids = ids_read(released, [Message("user", [scene, asked])])
    plain = ids_read(released, [Message("user", [scene, "Please detect <region1>."])])
    assert reserved(released, ids) == reserved(released, plain)

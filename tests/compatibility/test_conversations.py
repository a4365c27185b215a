"""What the official code gets wrong, done right: conversations of several turns and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compatibility.prompts import (
    END,
    REPLY,
    SIZE,
    SYSTEM,
    USER,
    grounded,
    ids_read,
    many,
    shown,
)
from fo1 import FO1, Message, PromptError, Regions, Scene
from fo1.decoding import generate
from scripted import prompts_read, readable, saying
from tiny import picture


def test_text_alone_is_the_bases_own_answer(released: FO1, scene: Scene) -> None:
    scene.ask("What?", 2)  # leaves positions behind that a text must not inherit
    prompts = released.model.prompts
    ids = torch.tensor([prompts.template(f"{SYSTEM}{USER}hello{END}{REPLY}")])
    with prompts_read(released.model) as read:
        said = released.chat([Message("user", "hello")], 6)
    assert read == [f"{SYSTEM}{USER}hello{END}{REPLY}"]
    plain = nn.Module.__call__(released.model.base, input_ids=ids, use_cache=False).logits[0, -1]
    (written,) = generate(released.model, [ids[0].tolist()], [[]], 6)
    assert written.text == said and written.ids[0] == int(plain.argmax())
    assert released.chat([Message("user", "hello")], 6, beams=2)


def test_a_chat_of_one_turn_is_a_question(released: FO1, scene: Scene) -> None:
    question = "What is <region1>?"
    assert released.chat([Message("user", [scene, question])], 6) == scene.ask(question, 6)


def test_an_image_may_come_later_and_answers_are_read_again(released: FO1, scene: Scene) -> None:
    talk = [
        Message("user", "hello <region1>"),
        Message("assistant", "Hi. <region1>"),
        Message("user", [scene, "What is <region1>, or <region3>?"]),
        Message("assistant", grounded("cup", 1)),
        Message("user", "And <region2>?"),
    ]
    with prompts_read(released.model) as prompts:
        assert released.chat(talk, 4)
    assert prompts == [
        f"{SYSTEM}{USER}hello <region1>{END}{REPLY}Hi. <region1>{END}"
        f"{USER}{shown(0, 3)}What is <region1>, or <region3>?{END}{REPLY}{grounded('cup', 1)}{END}"
        f"{USER}And <region2>?{END}{REPLY}"
    ]


def test_regions_are_words_only_once_they_were_shown(released: FO1, scene: Scene) -> None:
    talk = [
        Message("user", "<region1>"),
        Message("assistant", "<region1>"),
        Message("user", [scene, "<region1>"]),
        Message("assistant", "<region1><region3>"),
        Message("user", "<region1>"),
    ]
    ids = ids_read(released, talk)
    vocabulary = released.model.prompts.vocabulary
    assert ids.count(vocabulary.region(1)) == 1 + 3  # in the list, and after it
    assert ids.count(vocabulary.region(3)) == 0
    assert ids.count(vocabulary.region_slot) == 3


@pytest.mark.parametrize("turns", [1, 2])
def test_two_images_count_their_regions_through(released: FO1, scene: Scene, turns: int) -> None:
    other = released.look(picture(1, (60, 90)), many(2))
    question = "Is <region1> like <region4>, not <region5>?"
    if turns == 1:
        talk = [Message("user", ["First:", scene, "second:", other, question])]
        written = f"First:{shown(0, 3)}second:{shown(3, 2)}{question}"
    else:
        talk = [
            Message("user", scene),
            Message("assistant", "I see <region2>."),
            Message("user", (other, question)),
        ]
        written = f"{shown(0, 3)}{END}{REPLY}I see <region2>.{END}{USER}{shown(3, 2)}{question}"
    embedded: list[torch.Tensor] = []
    decoder: Any = released.model.base.get_decoder()
    handle = decoder.register_forward_pre_hook(
        lambda _, __, kwargs: embedded.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    try:
        ids = ids_read(released, talk)
    finally:
        handle.remove()
    assert readable(released.model, ids) == f"{SYSTEM}{USER}{written}{END}{REPLY}"
    row, tokens = embedded[0][0], torch.tensor(ids)
    regions = torch.cat([scene.encoded.embeddings, other.encoded.embeddings])
    torch.testing.assert_close(row[tokens == released.model.prompts.vocabulary.region_slot], regions)
    sights = torch.cat([s.encoded.sight.outputs.pooler_output[0] for s in (scene, other)])
    torch.testing.assert_close(row[tokens == released.model.base.config.image_token_id], sights)
    assert released.chat(talk, 4) and released.chat(talk, 4, beams=2)


def test_images_with_more_regions_than_fit_show_what_is_named_and_the_best(
    released: FO1, crowd: Scene, scene: Scene
) -> None:
    first = released.look(picture(0, SIZE), Regions.of(many(99), SIZE, np.linspace(1, 0.5, 99)))
    talk = [
        Message("user", [first, "Look at <region98>."]),
        Message("assistant", "Yes, <region98>. Not <region101>."),
        Message("user", [scene, "And <region101>?"]),
    ]
    with saying(released.model, "<region96><region99><region100>"), prompts_read(released.model) as prompts:
        said = released.chat(talk, constrained=False)
    # Of 99 + 3 regions the two worst that are not named, 96 and 97, are left out.
    assert prompts == [
        f"{SYSTEM}{USER}{shown(0, 97)}Look at <region96>.{END}{REPLY}Yes, <region96>. Not <region101>.{END}"
        f"{USER}{shown(97, 3)}And <region99>?{END}{REPLY}"
    ]
    assert said == "<region98><region101><region202>"
    (written,) = ids_of_text(released, "<region101>")
    assert written not in ids_read(released, talk)[: -len(released.model.prompts.question("", 0))]


def ids_of_text(model: FO1, text: str) -> list[list[int]]:
    return [model.model.prompts.user_text(text, 0)]


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        ([], "turns are none"),
        ([Message("system", "Be brief.")], "turns are system"),
        ([Message("assistant", "Hi.")], "take turns"),
        ([Message("user", "a"), Message("user", "b")], "take turns"),
        ([Message("user", "a"), Message("assistant", "b")], "the user ends"),
        ([Message("user", "a"), Message("system", "b"), Message("user", "c")], "take turns"),
        ([Message("user", " \n")], "last turn is empty"),
        ([Message("user", [])], "last turn is empty"),
        ([Message("user", [Path("a.png"), "What?"])], "images as scenes"),
        ([Message("user", None)], "holds NoneType"),
    ],
)
def test_messages_that_make_no_conversation(released: FO1, talk: list[Message], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        released.chat(talk)


def test_only_users_show_images_and_only_to_their_own_model(
    released: FO1, scene: Scene, tiny_fo1: FO1
) -> None:
    for role in ("system", "assistant"):
        talk = [Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
        talk[:2] = [Message("system", scene)] if role == "system" else [talk[0], Message("assistant", scene)]
        with pytest.raises(PromptError, match=f"image in a turn of the {role}"):
            released.chat(talk)
    stranger = tiny_fo1.look(picture(0), [])
    with pytest.raises(PromptError, match="of another model"):
        released.chat([Message("user", [stranger, "What?"])])
    with pytest.raises(PromptError, match="of several models"):
        released.ask_many([scene, stranger], ["What?", "What?"])

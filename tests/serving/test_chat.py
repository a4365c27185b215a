"""OpenAI's own client, over a real socket."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from fo1 import FO1, Message
from serving.pictures import data_url, png

BOXES = [[1, 2, 30, 40], [5, 5, 70, 50]]


@pytest.fixture
def client(live: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live}/v1", api_key="secret", max_retries=0)


def turn(*texts: str, **more: Any) -> dict[str, Any]:
    image = {"type": "image_url", "image_url": {"url": data_url(), "detail": "high"}}
    return {"role": "user", "content": [image, *({"type": "text", "text": text} for text in texts)], **more}


def test_a_conversation_is_the_librarys(client: openai.OpenAI, tiny_fo1: FO1) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        turn("What is <region1>?", bbox_list=BOXES),
        {"role": "assistant", "content": "A cup."},
        {"role": "user", "content": "And <region0>?"},
    ]
    said = client.chat.completions.create(model="tiny", messages=messages, max_tokens=6, temperature=0.5)
    scene = tiny_fo1.look(png(), BOXES)
    told = [
        Message("system", "Be brief."),
        Message("user", [scene, "What is <region1>?"]),
        Message("assistant", "A cup."),
        Message("user", "And <region0>?"),
    ]
    assert said.choices[0].message.content == tiny_fo1.chat(told, 6)
    assert said.choices[0].finish_reason == "length" and said.usage.completion_tokens == 6
    assert said.usage.prompt_tokens > 20
    assert said.fo1["regions"] == BOXES


def test_words_alone(client: openai.OpenAI, tiny_fo1: FO1) -> None:
    said = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "hello"}], max_completion_tokens=5
    )
    assert said.choices[0].message.content == tiny_fo1.chat([Message("user", "hello")], 5)


def test_a_stream_adds_up(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": [turn("Why?")], "max_tokens": 12}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_a_scoring_model_points_when_asked_as_the_released_one_is(
    client: openai.OpenAI, tiny_fo1: FO1
) -> None:
    scene = tiny_fo1.look(png(), BOXES)
    detect = turn("Please detect cat, dog in this image. Answer the question with object indexes.")
    said = client.chat.completions.create(model="tiny", messages=[detect], extra_body={"bbox_list": BOXES})
    found = scene.detect("cat, dog")
    assert said.choices[0].message.content == found.answer.text
    pointed = [one for one in said.fo1["groundings"] if one["regions"]]
    assert [box for one in pointed for box in one["boxes"]] == [
        BOXES[number] for one in found.answer.groundings for number in one.regions
    ]
    (streamed, *_) = [
        chunk.choices[0].delta.content
        for chunk in client.chat.completions.create(
            model="tiny", messages=[detect], extra_body={"bbox_list": BOXES}, stream=True
        )
        if chunk.choices[0].delta.content
    ]
    assert streamed == found.answer.text


def test_models_and_refusals(live: str, client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    hello: Any = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.NotFoundError, match="this server has 'tiny'"):
        client.chat.completions.create(model="gpt-4", messages=hello)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{live}/v1", api_key="wrong", max_retries=0).models.list()
    with pytest.raises(openai.BadRequestError, match="at most 64 in a request"):
        client.chat.completions.create(model="tiny", messages=hello, max_tokens=65)
    with pytest.raises(openai.BadRequestError, match="take turns"):
        client.chat.completions.create(model="tiny", messages=hello * 2)
    with pytest.raises(openai.UnprocessableEntityError, match="stop"):
        client.chat.completions.create(model="tiny", messages=hello, stop="x")
    with pytest.raises(openai.BadRequestError, match="bbox_list"):
        client.chat.completions.create(model="tiny", messages=hello, extra_body={"bbox_list": BOXES})
    with pytest.raises(openai.APIError, match="take turns"):  # after the status was sent
        list(client.chat.completions.create(model="tiny", messages=hello * 2, stream=True))

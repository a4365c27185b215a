"""`BoxList`: lets clients of `vllm serve` say `bbox_list` as they say it to `fo1 serve`.

In a message with one image, or beside the messages if there is one image in all. vLLM itself would overlook
it there; `--middleware fo1.vllm.box_list.BoxList`, in an exported folder's `serve.yaml`, tells it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from fo1.errors import Fo1Error, PromptError, RegionError

KEY, KWARGS, LOADING = "bbox_list", "mm_processor_kwargs", "media_io_kwargs"
PATHS = ("/v1/chat/completions", "/v1/chat/completions/render")

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class BoxList:
    """Moves boxes to where vLLM hands them to the multimodal processor. Of other settings for that, which
    could make a picture cost more, it lets none through; to other paths than `PATHS`, no boxes either."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            return
        try:
            body = _moved(body) if scope["path"] in PATHS else _without(body, scope["path"])
        except Fo1Error as error:
            await _refuse(str(error), send)
            return
        # The server reads the length from the headers no more than the socket does: the body is all there.
        headers = [(key, value) for key, value in scope["headers"] if key != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        sent = False

        async def again() -> MutableMapping[str, Any]:
            nonlocal sent
            if sent:
                return await receive()  # that the client hangs up
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app({**scope, "headers": headers}, again, send)


def _moved(body: bytes) -> bytes:
    """Raises `Fo1Error` for boxes that belong to no image. What is no question is left to vLLM to refuse."""
    asked = _read(body)
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list):
        return body
    settings = asked.pop(KWARGS, None) or {}
    if asked.pop(LOADING, None) or not isinstance(settings, dict) or settings.keys() - {KEY}:
        raise PromptError(f"{KWARGS} takes {KEY} alone on this server, and {LOADING} nothing")
    boxes = _by_image(asked["messages"], asked.pop(KEY, settings.get(KEY)))
    if boxes:
        asked[KWARGS] = {KEY: boxes}
    return json.dumps(asked).encode()


def _without(body: bytes, path: str) -> bytes:
    """The body. Raises `Fo1Error` if any part of it says what is taken nowhere but at `PATHS`."""
    waiting = [_read(body)]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for key in (KEY, KWARGS, LOADING):
                if part.get(key) is not None:
                    raise PromptError(f"{path} takes no {key} on this server; send boxes to {PATHS[0]}")
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return body


def _read(body: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _by_image(messages: list[Any], beside: Any) -> list[Any]:
    """A list of boxes for each image of the conversation; none if there are no boxes.

    beside: the boxes of the one image, or a list of them for each.
    """
    sets: list[Any] = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        own, count = message.pop(KEY, None), _images(message.get("content"))
        if own is not None and count != 1:
            raise PromptError(f"{KEY} in a message of {count} images; it belongs to one")
        sets += [own] * count
    if beside is not None and not sets:
        raise PromptError(f"{KEY} beside no image; an image is missing")
    if beside is not None and len(sets) == 1:
        sets = [beside if sets[0] is None else sets[0]]
    elif beside is not None:
        if not isinstance(beside, list) or len(beside) != len(sets):
            raise RegionError(f"{KEY} beside {len(sets)} images; put it into the message of its image")
        sets = beside
    return [] if all(one is None for one in sets) else [[] if one is None else one for one in sets]


def _images(content: Any) -> int:
    parts = content if isinstance(content, list) else ()
    return sum(isinstance(part, dict) and "image" in str(part.get("type")) for part in parts)


async def _whole(receive: Receive) -> bytes | None:
    """The body; None if the client hung up."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


async def _refuse(message: str, send: Send) -> None:
    error = {"message": message, "type": "BadRequestError", "param": KEY, "code": 400}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})

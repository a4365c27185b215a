"""Who is let in, and what becomes of who waits too long or leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fo1.serving.gate import Gate
from fo1.serving.limits import Limits
from fo1.serving.metrics import Metrics


class Client:
    """One request to an ASGI application. chunks: what it sends; then it waits until it hangs up."""

    def __init__(
        self, chunks: list[bytes], path: str = "/v1/x", headers: dict[str, str] | None = None
    ) -> None:
        self.scope = {
            "type": "http",
            "path": path,
            "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
        }
        self.waiting = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
            for number, chunk in enumerate(chunks)
        ]
        self.leaves = asyncio.Event()
        self.status, self.body, self.headers = 0, b"", {}

    async def receive(self) -> dict[str, Any]:
        if self.waiting:
            return self.waiting.pop(0)
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        self.body += message.get("body", b"")

    async def ask(self, app: Gate) -> dict[str, Any]:
        await app(self.scope, self.receive, self.send)
        return json.loads(self.body)["error"] if self.status >= 400 else {}


class Handler:
    """Takes as long as it is told; counts who was answered and who was let go."""

    def __init__(self) -> None:
        self.go, self.begun = asyncio.Event(), asyncio.Event()
        self.bodies: list[bytes] = []
        self.cancelled = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


Test = Callable[[Handler], Awaitable[None]]


def run(test: Test) -> Handler:
    async def whole() -> Handler:
        handler = Handler()
        await asyncio.wait_for(test(handler), 10)
        return handler

    return asyncio.run(whole())


def gate(handler: Handler, key: str | None = None, hosts: tuple[str, ...] = (), **limits: Any) -> Gate:
    return Gate(handler, Limits(**limits), Metrics(), key, hosts)


def test_a_body_in_pieces_arrives_whole() -> None:
    async def test(handler: Handler) -> None:
        handler.go.set()
        client = Client([b"ab", b"", b"cd"])
        await client.ask(gate(handler, body=4))
        assert client.status == 200

    assert run(test).bodies == [b"abcd"]


@pytest.mark.parametrize("headers", [{}, {"content-length": "5"}, {"content-length": "9" * 30}])
def test_a_body_too_large_is_refused_before_the_handler(headers: dict[str, str]) -> None:
    async def test(handler: Handler) -> None:
        client = Client([b"abc", b"de", b"fgh"], headers=headers)
        assert "larger than 4 bytes" in (await client.ask(gate(handler, body=4)))["message"]
        assert client.status == 413 and not handler.begun.is_set()

    run(test)


def test_more_than_fit_are_told_when_to_come_again() -> None:
    async def test(handler: Handler) -> None:
        app = gate(handler, waiting=1)
        first = Client([b"1"])
        task = asyncio.create_task(first.ask(app))
        await handler.begun.wait()
        second = Client([b"2"])
        assert (await second.ask(app))["code"] == "over_capacity"
        assert second.status == 429 and int(second.headers[b"retry-after"]) >= 1
        handler.go.set()
        await task
        third = Client([b"3"])
        await third.ask(app)
        assert (first.status, third.status) == (200, 200)

    assert run(test).bodies == [b"1", b"3"]


def test_bodies_share_memory() -> None:
    async def test(handler: Handler) -> None:
        app = gate(handler, memory=10)
        first = Client([b"12345678"])
        task = asyncio.create_task(first.ask(app))
        await handler.begun.wait()
        second = Client([b"123"])
        await second.ask(app)
        assert second.status == 429
        handler.go.set()
        await task
        third = Client([b"1234567890"])
        await third.ask(app)
        assert third.status == 200

    run(test)


def test_time_runs_out_for_answers_and_for_bodies() -> None:
    async def test(handler: Handler) -> None:
        app = gate(handler, seconds=0.02)
        late = Client([b"1"])
        assert "within 0.02 s" in (await late.ask(app))["message"]
        slow = Client([b"1", b"2"])
        slow.waiting.pop()
        assert "did not arrive" in (await slow.ask(app))["message"]
        assert (late.status, slow.status) == (504, 408)

    assert run(test).cancelled == 1


def test_who_hangs_up_is_let_go() -> None:
    async def test(handler: Handler) -> None:
        client = Client([b"1"])
        task = asyncio.create_task(client.ask(gate(handler)))
        await handler.begun.wait()
        client.leaves.set()
        await task
        assert client.status == 0

    assert run(test).cancelled == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic secret"}, 401),
        ({"authorization": "Bearer s\u00e9cret"}, 401),
        ({"authorization": "bearer secret"}, 200),
        ({"x-api-key": "secret"}, 200),
    ],
)
def test_the_key(headers: dict[str, str], status: int) -> None:
    async def test(handler: Handler) -> None:
        handler.go.set()
        client = Client([b"1"], headers=headers)
        await client.ask(gate(handler, key="secret"))
        assert client.status == status
        health = Client([b""], "/healthz")
        await health.ask(gate(handler, key="secret"))
        assert health.status == 200

    run(test)


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:8000", 200), ("evil.example:8000", 421), ("", 421)],
)
def test_a_name_that_was_made_to_lead_here(host: str, status: int) -> None:
    async def test(handler: Handler) -> None:
        handler.go.set()
        client = Client([b"1"], headers={"host": host})
        await client.ask(gate(handler, hosts=("127.0.0.1", "localhost", "::1")))
        assert client.status == status

    run(test)

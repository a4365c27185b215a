"""`Gate`: who may come in, how many at once, with how much, for how long. ASGI, before all handlers."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
import time
from collections.abc import Collection
from hashlib import sha256

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fo1.serving.limits import Limits, Room, Share
from fo1.serving.metrics import Metrics
from fo1.serving.problems import Problem, busy

OPEN = ("/", "/healthz", "/readyz")
GONE = 499  # nginx's number for a client that left before its answer
SHARE = "fo1.share"
DRAIN_SECONDS = 2.0


class Gate:
    """Reads a request's body before its handler runs, and lets go of handlers whose client has gone.

    key: what a client must know; None for nothing. `/` and the health checks are open to all.
    hosts: names by which clients may call this server, any if there are none. A web page whose own name was
    made to lead here (DNS rebinding) calls it by that.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        metrics: Metrics,
        key: str | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        self.app, self._limits, self._metrics, self._hosts = app, limits, metrics, hosts
        self._key = None if key is None else _digest(key)
        self._room = Room(limits.memory)
        self._inside = 0
        self._usual = 1.0  # seconds that a request took lately
        metrics.watch(
            "fo1_requests_inside", "Requests being read, waited for or answered.", lambda: self._inside
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = _Visit(send)
        try:
            await self._pass(scope, receive, visit)
            visit.status = visit.status or GONE
        except asyncio.CancelledError:
            visit.status = visit.status or GONE
            raise
        except Problem as problem:
            if not visit.heard:
                await _drain(receive, self._limits.body)
            if not visit.status:
                await problem.response()(scope, receive, visit.send)
        finally:
            spent, status = (
                time.perf_counter() - visit.since,
                visit.status or 500,
            )  # which is said further out
            self._metrics.request(_path(scope), status, spent)
            if scope["path"].startswith("/v1/") and status < 400:
                self._usual += 0.1 * (spent - self._usual)

    async def _pass(self, scope: Scope, receive: Receive, visit: _Visit) -> None:
        self._check_host(scope)
        self._check_key(scope)
        if self._inside >= self._limits.waiting and scope["path"].startswith("/v1/"):
            raise busy(f"{self._inside} requests are inside", max(1, math.ceil(self._usual)))
        share = Share(self._room)
        self._inside += 1
        try:
            scope[SHARE] = share
            await self._answer(scope, receive, visit, share)
        finally:
            self._inside -= 1
            share.free()

    def _check_host(self, scope: Scope) -> None:
        called = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = called.rpartition(":")[0] if re.search(r":\d+$", called) else called
        if self._hosts and name.strip("[]").lower() not in self._hosts:
            raise Problem(421, f"this server is not {called[:60]!r}", "wrong_host")

    def _check_key(self, scope: Scope) -> None:
        if self._key is None or scope["path"] in OPEN:
            return
        headers = dict(scope["headers"])
        kind, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        given = bearer.strip() if kind.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        if not hmac.compare_digest(_digest(given), self._key):
            raise Problem(
                401,
                "the API key is missing or wrong; send it as Authorization: Bearer KEY",
                "invalid_api_key",
                {"WWW-Authenticate": "Bearer"},
            )

    async def _answer(self, scope: Scope, receive: Receive, visit: _Visit, share: Share) -> None:
        """Runs the handler until it is done, the client is gone, or time is up."""
        until = time.perf_counter() + self._limits.seconds
        try:
            body = await asyncio.wait_for(self._body(scope, receive, visit, share), self._limits.seconds)
        except asyncio.TimeoutError:
            visit.heard = True  # there is no time to hear the rest
            raise Problem(408, f"the request did not arrive within {self._limits.seconds:g} s") from None
        if body is None:
            return
        gone = asyncio.create_task(_gone(receive))
        answer = asyncio.ensure_future(self.app(scope, _replay(body, gone), visit.send))
        try:
            left = max(until - time.perf_counter(), 0.0)
            await asyncio.wait({answer, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
            elif not gone.done():
                raise Problem(504, f"no answer within {self._limits.seconds:g} s; ask for less", "timeout")
        finally:
            gone.cancel()
            answer.cancel()
            await asyncio.wait({answer})

    async def _body(self, scope: Scope, receive: Receive, visit: _Visit, share: Share) -> bytes | None:
        """None if the client goes before it has said all."""
        limit = self._limits.body
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise _too_large(limit)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk, visit.heard = message.get("body", b""), not message.get("more_body", False)
            if len(body) + len(chunk) > limit:
                raise _too_large(limit)
            share.take(len(chunk))
            body += chunk
            if visit.heard:
                return bytes(body)


class _Visit:
    """One request. heard: is all of it read? status: 0 until an answer begins."""

    def __init__(self, send: Send) -> None:
        self._send, self.since = send, time.perf_counter()
        self.status, self.heard = 0, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the request is larger than {limit:,} bytes; send a smaller image", "too_large")


def _digest(key: str | bytes) -> bytes:
    """Of one length for all keys, so that comparing tells nothing of it."""
    return sha256(key.encode() if isinstance(key, str) else key).digest()


def _replay(body: bytes, gone: asyncio.Task[None]) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.wait({gone})
        return {"type": "http.disconnect"}

    return receive


async def _gone(receive: Receive) -> None:
    """Until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drain(receive: Receive, most: int) -> None:
    """Takes in what a refused client still sends, within reason: else it would not hear why."""

    async def rest() -> None:
        left = most
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return

    try:
        await asyncio.wait_for(rest(), DRAIN_SECONDS)
    except asyncio.TimeoutError:
        return


def _path(scope: Scope) -> str:
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "other"

"""Batches: nobody gets another's answer, pays for another's error, or waits for who has left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fo1 import FO1
from fo1.errors import Fo1Error
from fo1.serving.engine import Done, Ground, Look, Picture, Talk
from fo1.serving.limits import Limits
from fo1.serving.local import Batching, LocalEngine
from fo1.serving.problems import Problem
from fo1.types import Regions
from tiny import picture

Sizes = list[int]


def run(model: FO1, test: Callable[[LocalEngine, Sizes], Awaitable[None]], waiting: int = 64) -> Sizes:
    """Runs a test with an engine that has one long batch before it, so that all else comes together."""
    sizes: Sizes = []

    async def whole() -> None:
        engine = LocalEngine(model, Limits(waiting=waiting), Batching(8, 0.0), sizes.append)
        await engine.start()
        await asyncio.wait_for(test(engine, sizes), 20)
        await engine.close()
        with pytest.raises(Problem, match="shutting down"):
            await engine.submit(Look(Picture(picture())))
        assert not engine.ready

    asyncio.run(whole())
    return sizes


class Held:
    """Keeps the model busy until it is let go."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine, self.gate = engine, threading.Event()

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        self.waiting = loop.run_in_executor(self.engine._thread, self.gate.wait, 10)

    async def __aexit__(self, *rest: Any) -> None:
        self.gate.set()
        await self.waiting


def detect(seed: int, labels: tuple[str, ...] = ("a", "b")) -> Ground:
    return Ground(Picture(picture(seed, (80, 60 + 4 * (seed % 2)))), "detect", labels, 0.1)


def talk(seed: int, question: str) -> Talk:
    return Talk.question(Picture(picture(seed)), question, 5)


def test_a_mixed_batch_answers_each_as_if_alone(tiny_fo1: FO1) -> None:
    async def test(engine: LocalEngine, sizes: Sizes) -> None:
        requests = [
            *(detect(seed) for seed in range(3)),
            *(talk(seed, f"Is it {seed}?") for seed in range(3)),
            Ground(Picture(picture(9), top_k=2), "count", ("a",), 0.0),
        ]
        async with Held(engine):
            first = asyncio.create_task(engine.submit(detect(20)))
            await asyncio.sleep(0.01)
            tasks = [asyncio.create_task(engine.submit(request)) for request in requests]
            await asyncio.sleep(0.01)
        await first
        together: list[Done] = await asyncio.gather(*tasks)
        for request, done in zip(requests, together, strict=True):
            alone = await engine.submit(request)
            if isinstance(request, Talk):
                assert done.value == alone.value
            else:
                assert done.value.to_dicts() == alone.value.to_dicts()
                assert done.value.image_size == request.about.image.size
        assert len(together[-1].scenes[0].regions) == 2

    sizes = run(tiny_fo1, test)
    assert sizes[:2] == [1, 7]


def test_an_error_is_told_to_who_made_it(tiny_fo1: FO1, caplog: pytest.LogCaptureFixture) -> None:
    async def test(engine: LocalEngine, sizes: Sizes) -> None:
        wrong_size = Picture(picture(0), Regions.of([[0, 0, 5, 5]], (9, 9)))
        requests: list[Any] = [
            detect(1),
            Look(wrong_size),
            talk(2, "Why?"),
            Talk.question(Picture(picture(3)), "Why?", 5, region=50),
            Look(Picture("no image")),  # type: ignore[arg-type]
            Ground(Picture(picture(4)), "detect", ("a",), "high"),  # type: ignore[arg-type]
        ]
        async with Held(engine):
            tasks = [asyncio.create_task(engine.submit(request)) for request in requests]
            await asyncio.sleep(0.01)
        said = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = [type(one) for one in said]
        assert kinds[0] is kinds[2] is Done
        assert all(isinstance(one, Fo1Error) for one in (said[1], said[3], said[4])), kinds
        assert isinstance(said[5], TypeError) and "a request failed" in caplog.text
        assert (await engine.submit(detect(1))).value.to_dicts() == said[0].value.to_dicts()

    run(tiny_fo1, test)


def test_who_left_is_not_worked_for_and_the_queue_is_bounded(tiny_fo1: FO1) -> None:
    async def test(engine: LocalEngine, sizes: Sizes) -> None:
        async with Held(engine):
            busy = asyncio.create_task(engine.submit(detect(0)))
            await asyncio.sleep(0.01)
            waiting = [asyncio.create_task(engine.submit(detect(seed))) for seed in range(3)]
            await asyncio.sleep(0.01)
            assert not engine.ready
            with pytest.raises(Problem, match="3 requests are waiting"):
                await engine.submit(detect(9))
            waiting[1].cancel()
        await asyncio.gather(busy, waiting[0], waiting[2])

    assert run(tiny_fo1, test, waiting=3) == [1, 2]


def test_closing_finishes_what_was_accepted(tiny_fo1: FO1) -> None:
    async def test(engine: LocalEngine, sizes: Sizes) -> None:
        async with Held(engine):
            tasks = [asyncio.create_task(engine.submit(detect(seed))) for seed in range(12)]
            await asyncio.sleep(0.01)
            closing = asyncio.create_task(engine.close())
            await asyncio.sleep(0.01)
            assert not closing.done()
        done = await asyncio.gather(*tasks)
        await closing
        assert len(done) == 12

    run(tiny_fo1, test)


def test_a_stream_lets_others_in(tiny_fo1: FO1) -> None:
    async def test(engine: LocalEngine, sizes: Sizes) -> None:
        pieces: list[Any] = []
        async for piece in engine.stream(Talk.question(Picture(picture(0)), "Why?", 24)):
            pieces.append(piece)
            if len(pieces) == 1:
                await engine.submit(detect(1))
        *texts, done = pieces
        whole = await engine.submit(Talk.question(Picture(picture(0)), "Why?", 24))
        assert len(texts) > 1 and "".join(texts) == done.value.text == whole.value.text

    run(tiny_fo1, test)

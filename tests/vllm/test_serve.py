"""`fo1 serve --engine vllm`: our server's answers are the library's, however many ask at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fo1 import FO1, Message
from fo1.errors import PromptError, RegionError
from fo1.serving.engine import Done, Ground, Look, Name, Picture, Talk, Turn
from fo1.serving.limits import Limits
from fo1.serving.problems import Problem
from fo1.types import Regions
from serving.pictures import data_url, png
from tiny import picture
from vllm_models import boxes

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from fo1.serving.app import Options, make_app  # noqa: E402
from fo1.serving.vllm_engine import VLLMEngine  # noqa: E402

SIZE = (168, 126)
OPTIONS: dict[str, Any] = {
    "dtype": "float32",
    "enforce_eager": True,
    "max_model_len": 1024,
    "max_num_seqs": 64,
}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def engine(native: Path, loop: asyncio.AbstractEventLoop) -> Iterator[VLLMEngine]:
    """vLLM's own process, asked from one loop. Started anew, not forked from this process of many threads."""
    os.environ["VLLM_WORKER_MULTIPROCESSING_METHOD"] = "spawn"
    made = VLLMEngine(native, Limits(waiting=256), **OPTIONS)
    loop.run_until_complete(made.start())
    yield made
    loop.run_until_complete(made.close())


Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture
def freely(monkeypatch: pytest.MonkeyPatch) -> None:
    """No grammars: vLLM's are not those of the core, and a random model's words are what they let through."""
    monkeypatch.setattr("fo1.vllm.asking.lark_grammar", lambda *given: None)


@pytest.fixture
def run(loop: asyncio.AbstractEventLoop) -> Run:
    return loop.run_until_complete


def shown(number: int) -> Picture:
    """Images of several sizes, with up to eleven regions."""
    size = [(168, 126), (90, 200), (64, 64)][number % 3]
    return Picture(picture(number % 7, size), Regions.of(boxes(size, number % 12, seed=number % 5), size))


def asked(number: int) -> Ground | Talk:
    kinds: list[Callable[[Picture], Ground | Talk]] = [
        lambda about: Ground(about, "detect", ("cat", "red dog"), 0.0),
        lambda about: Talk.question(about, "What is it?", 6),
        lambda about: Ground(about, "count", ("cup",)),
        lambda about: Talk.question(about, f"Is it {number % 5}?", 4),
    ]
    return kinds[number % len(kinds)](shown(number))


def said(done: Done) -> Any:
    if not hasattr(done.value, "to_dicts"):
        return done.value
    return done.value.answer.text, done.value.regions.tolist(), np.round(done.value.scores, 4).tolist()


def test_two_hundred_at_once(engine: VLLMEngine, run: Run) -> None:
    """Each answer is what it is alone."""

    async def all_at_once() -> list[Done]:
        return await asyncio.gather(*(engine.submit(asked(number)) for number in range(200)))

    together = run(all_at_once())
    for number in range(200):
        assert said(together[number]) == said(run(engine.submit(asked(number)))), number


def test_a_conversation_is_the_librarys(engine: VLLMEngine, native_core: FO1, run: Run, freely: None) -> None:
    given = boxes(SIZE, 5, seed=1)
    about = Picture(picture(1, SIZE), Regions.of(given, SIZE))
    scene, first = native_core.look(about.image, given), native_core.look(picture(2, SIZE), given[:2])
    turns = (
        Turn("user", (about, "What is <region0>?")),
        Turn("assistant", ("<ground>cup</ground><objects><region0></objects>",)),
        Turn("user", (Picture(picture(2, SIZE), Regions.of(given[:2], SIZE)), "And <region6>?")),
    )
    told = [
        Message("user", [scene, "What is <region0>?"]),
        Message("assistant", "<ground>cup</ground><objects><region0></objects>"),
        Message("user", [first, "And <region6>?"]),
    ]
    assert run(engine.submit(Talk(turns, 6))).value.text == native_core.chat(told, 6, constrained=False)


def test_proposals_are_the_bundled_detectors(engine: VLLMEngine, native_core: FO1, run: Run) -> None:
    own = run(engine.submit(Look(Picture(picture(2, SIZE), top_k=3)))).value
    np.testing.assert_allclose(
        own.regions.xyxy, native_core.look(picture(2, SIZE), top_k=3).regions.xyxy, atol=1e-2
    )
    again = run(engine.submit(Talk.question(own, "Why?", 4)))  # of what was looked at before
    assert again.scenes == [own] and again.value.new_tokens <= 4


def test_a_stream_adds_up_and_may_be_left(engine: VLLMEngine, run: Run) -> None:
    talk = Talk.question(shown(5), "Why?", 24)

    async def pieces(most: int) -> list[Any]:
        found = []
        async with aclosing(engine.stream(talk)) as stream:  # type: ignore[type-var]
            async for piece in stream:
                found.append(piece)
                if len(found) == most:
                    break
        return found

    *texts, done = run(pieces(99))
    assert len(texts) > 1 and "".join(texts) == done.value.text == run(engine.submit(talk)).value.text
    (first,) = run(pieces(1))  # steps that come together are one piece
    assert done.value.text.startswith(first) and len(first) < len(done.value.text)
    assert run(free(engine))


async def free(engine: VLLMEngine) -> bool:
    """Does vLLM soon work on nothing?"""
    for _ in range(200):
        if not engine._llm.get_num_unfinished_requests() and not engine._at_work:
            return True
        await asyncio.sleep(0.02)
    return False


def test_who_left_is_not_worked_for(engine: VLLMEngine, run: Run) -> None:
    async def leave() -> bool:
        tasks = [asyncio.create_task(engine.submit(Talk.question(shown(n), "Why?", 200))) for n in range(20)]
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await free(engine)

    assert run(leave())
    assert run(engine.submit(asked(1))).value


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Look(Picture(picture(0), Regions.of([[0, 0, 5, 5]], (9, 9)))), RegionError),
        (Talk.question(shown(2), "Why?", 4, region=50), RegionError),
        (Talk.question(shown(2), "a long question " * 300, 4), PromptError),
        (Talk((Turn("assistant", ("Hello",)),), 4), PromptError),
        (Talk((Turn("user", ("Hello",)),), 4, repetition_penalty=1.2), PromptError),
        (Ground(shown(2), "detect", ("cat",), 3.0), PromptError),
        (Name(shown(2), 0), PromptError),
        (Look(Picture(picture(0, (2000, 30)), tiles=300)), RegionError),
    ],
)
def test_what_cannot_be_asked(request_: Any, error: type[Exception], engine: VLLMEngine, run: Run) -> None:
    with pytest.raises(error):
        run(engine.submit(request_))
    assert run(engine.submit(asked(1))).value


def test_over_http(engine: VLLMEngine, native_core: FO1, run: Run, freely: None) -> None:
    """The verbs and scenes of the server in front of it."""
    app = make_app(engine, Options(Limits(boxes=150)))
    given = [[1, 2, 30, 40], [5, 5, 70, 50]]

    async def ask() -> dict[str, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

            async def post(path: str, **body: Any) -> httpx.Response:
                return await client.post(f"/v1/{path}", json={"image": data_url(), "boxes": given, **body})

            found = {
                "detect": await post("detect", labels="a, b", threshold=0),
                "find": await post("find", phrase="a"),
                "count": await post("count", label="a"),
                "describe": await post("describe", region=1, max_tokens=4),
                "read": await post("read", max_tokens=4),
                "ask": await post("ask", question="Why?", max_tokens=6),
                "name": await post("name", region=0),
                "many": await post("detect", labels="a", boxes=boxes((80, 60), 151, 0).tolist()),
                "inverted": await post("ask", question="Why?", boxes=[[9, 9, 1, 1]]),
                "image": await post("ask", question="Why?", image="data:image/png;base64,AAAA"),
                "scenes": await post("scenes"),
            }
            id = found["scenes"].json()["id"]
            again = {"question": "Why?", "max_tokens": 6}
            found["again"] = await client.post(f"/v1/scenes/{id}/ask", json=again)
            nan = b'{"image": "data:,", "labels": "a", "boxes": [[0, 0, NaN, 5]]}'
            found["nan"] = await client.post(
                "/v1/detect", content=nan, headers={"Content-Type": "application/json"}
            )
            found["models"] = await client.get("/v1/models")
        return found

    found = run(ask())
    statuses = {name: answer.status_code for name, answer in found.items()}
    wrong = {"name": 400, "many": 400, "inverted": 400, "image": 400, "nan": 422}
    assert statuses == {**dict.fromkeys(found, 200), **wrong}, {n: a.text[:200] for n, a in found.items()}
    scene = native_core.look(png(), given)
    assert (
        found["ask"].json()["text"]
        == scene.ask("Why?", 6, constrained=False)
        == found["again"].json()["text"]
    )
    assert found["models"].json()["data"][0]["id"] == native_core.name


def test_if_one_part_fails_the_others_are_left(
    engine: VLLMEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []

    async def written(prompted: Any) -> Any:
        if not left:
            left.append(False)
            raise PromptError("too long")
        try:
            await asyncio.sleep(60)
        finally:
            left.append(True)

    monkeypatch.setattr(engine, "_written", written)
    many = Picture(picture(0, SIZE), Regions.of(boxes(SIZE, 250, seed=0), SIZE))
    with pytest.raises(PromptError, match="too long"):
        run(engine.submit(Ground(many, "detect", ("cat",))))
    assert left == [False, True, True] and not engine._at_work


def test_a_full_server_says_so(engine: VLLMEngine, run: Run) -> None:
    async def crowd() -> list[Any]:
        engine._most, most = 2, engine._most
        requests = [engine.submit(Talk.question(shown(n), "Why?", 20)) for n in range(3)]
        said = await asyncio.gather(*requests, return_exceptions=True)
        engine._most = most
        return said

    *done, full = run(crowd())
    assert all(isinstance(one, Done) for one in done)
    assert isinstance(full, Problem) and full.status == 429

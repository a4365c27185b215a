"""`LocalEngine`: a model in this process, in a thread of its own, that answers many clients in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from fo1.pipeline import FO1
from fo1.prompts.parsing import Answer
from fo1.serving.answering import Answering, Job, Opened
from fo1.serving.engine import Done, Request, Said, Talk
from fo1.serving.limits import Limits
from fo1.serving.problems import Problem, busy


@dataclass(frozen=True)
class Batching:
    """How requests are collected. most: in a batch; 1 for none. wait: seconds for others to come along."""

    most: int = 8
    wait: float = 0.005


@dataclass(frozen=True, eq=False)
class _Waiting:
    job: Job
    outcome: asyncio.Future[Done]
    since: float = field(default_factory=time.perf_counter)


class LocalEngine:
    """An `Engine`. Batches are made of what waits while the last one is worked on.

    limits: how many requests may wait, and the longest prompt. batched: is told the size of each batch.
    """

    def __init__(
        self,
        model: FO1,
        limits: Limits | None = None,
        batching: Batching | None = None,
        batched: Callable[[int], None] = lambda size: None,
    ) -> None:
        limits = limits or Limits()
        self.name = model.name
        self._model, self._batching, self._batched = model, batching or Batching(), batched
        self._answering = Answering(model, limits.prompt_tokens)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(limits.waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fo1-model")
        self._runner: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def ready(self) -> bool:
        alive = self._runner is not None and not self._runner.done()
        return alive and not self._closing and not self._queue.full()

    async def start(self) -> None:
        self._runner = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._closing = True
        await self._queue.join()
        if self._runner is not None:
            self._runner.cancel()
        self._thread.shutdown()

    async def submit(self, request: Request) -> Done:
        return await self._done(Job(request))

    async def stream(self, talk: Talk) -> AsyncIterator[str | Done]:
        begun = await self._done(Job(talk, opens=True))
        opened: Opened = begun.value
        started, said = time.perf_counter(), ""
        loop = asyncio.get_running_loop()
        while True:
            # Between two pieces the thread works on what others ask.
            piece = await loop.run_in_executor(self._thread, next, opened.pieces, None)
            if piece is None or isinstance(piece, Answer):
                break
            said += piece.text
            yield piece.text
        # The pieces' own tokens are gone; half a character at the end would count more than it was.
        count = min(len(self._model.model.prompts.template(said)), talk.new_tokens)
        spent = begun.seconds | {"answer": time.perf_counter() - started}
        finished = count < talk.new_tokens
        yield Done(Said(said, opened.prompt_tokens, count, finished), begun.scenes, spent)

    async def _done(self, job: Job) -> Done:
        if self._closing or self._runner is None:
            raise Problem(503, "the server is shutting down", "closing")
        outcome: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        job.wanted = lambda: not outcome.done()
        try:
            self._queue.put_nowait(_Waiting(job, outcome))
        except asyncio.QueueFull:
            raise busy(f"{self._queue.maxsize} requests are waiting") from None
        return await outcome

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken = [await self._queue.get()]
            await self._gather(taken)
            batch = [one for one in taken if one.job.wanted()]
            if batch:
                self._batched(len(batch))
                begun = time.perf_counter()
                for one in batch:
                    one.job.seconds["wait"] = begun - one.since
                    one.job.settled = partial(loop.call_soon_threadsafe, _tell, one)
                jobs = [one.job for one in batch]
                working = loop.run_in_executor(self._thread, self._answering.work, jobs)
                await asyncio.wait([working])
                for job in jobs:
                    job.outcome = job.outcome or working.exception()  # type: ignore[assignment]
            for one in taken:
                _tell(one)
                self._queue.task_done()

    async def _gather(self, taken: list[_Waiting]) -> None:
        """Adds what waits and what comes within a moment."""
        until = time.perf_counter() + self._batching.wait
        while len(taken) < self._batching.most:
            left = until - time.perf_counter()
            if self._queue.empty() and left > 0:
                try:
                    taken.append(await asyncio.wait_for(self._queue.get(), left))
                except asyncio.TimeoutError:
                    return
            elif self._queue.empty():
                return
            else:
                taken.append(self._queue.get_nowait())


def _tell(one: _Waiting) -> None:
    outcome = one.job.outcome
    if one.outcome.done() or outcome is None:
        return
    if isinstance(outcome, Exception):
        one.outcome.set_exception(outcome)
    else:
        one.outcome.set_result(outcome)

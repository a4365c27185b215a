"""`VLLMEngine`: a model in vLLM, which takes requests into its batch as they come."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

from vllm import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from fo1.checkpoints.native import bundled_proposer
from fo1.decoding import Written
from fo1.errors import Fo1Error, PromptError, RegionError
from fo1.findings import Findings
from fo1.pipeline import best_rows, given_regions
from fo1.prompts.tasks import TASKS, clean_labels
from fo1.proposals.proposer import Proposer
from fo1.reporting import check_threshold
from fo1.serving.engine import Done, Ground, Look, Picture, Request, Said, Talk, shown
from fo1.serving.limits import Limits
from fo1.serving.problems import Problem, busy
from fo1.streaming import settled
from fo1.tiles import Tiling
from fo1.views import View
from fo1.vllm.asking import Look as Seen
from fo1.vllm.asking import Request as Prompted
from fo1.vllm.starting import start
from fo1.vllm.viewing import viewed


class VLLMEngine:
    """An `Engine`. vLLM runs in a process of its own; boxes are proposed in a thread of this one.

    model: a folder that `fo1.vllm.export` made, or that it can export. limits: how many requests may be at
    work. proposer: by default the bundled detector. options: arguments of `vllm.LLM`.
    Raises `CheckpointError` for a model that vLLM cannot run, and `Fo1Error` for options that it refuses.
    """

    def __init__(
        self,
        model: str | Path,
        limits: Limits | None = None,
        proposer: Proposer | None = None,
        **options: Any,
    ) -> None:
        self._llm, self._asking, self._links = start(model, _began, {"disable_log_stats": True, **options})
        self.name = self._asking.settings.name
        self._most = (limits or Limits()).waiting
        self._proposer = proposer or bundled_proposer()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fo1-proposals")
        self._at_work, self._closing = 0, False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        return not self._closing and not self._llm.errored and self._at_work < self._most

    async def start(self) -> None:
        """Nothing: vLLM began when it was loaded."""

    async def close(self) -> None:
        self._closing = True
        await self._idle.wait()
        self._thread.shutdown()
        self._llm.shutdown()

    async def submit(self, request: Request) -> Done:
        with self._working():
            looks, seconds = await self._looks(request)
            started = time.perf_counter()
            value = await self._answer(request, looks)
            return Done(value, looks, {**seconds, "answer": time.perf_counter() - started})

    async def stream(self, talk: Talk) -> AsyncIterator[str | Done]:
        with self._working():
            looks, seconds = await self._looks(talk)
            started, sent = time.perf_counter(), ""
            view, prompted = self._prompted(talk, looks)
            async with aclosing(self._outputs(prompted)) as outputs:
                async for grown in outputs:
                    text = view.outward(settled(grown[0].text))
                    if len(text) > len(sent) and text.startswith(sent):
                        yield text[len(sent) :]
                        sent = text
            said = _said(view, *grown, talk)
            if said.text != sent:
                yield said.text.removeprefix(sent)
            yield Done(said, looks, {**seconds, "answer": time.perf_counter() - started})

    async def _answer(self, request: Request, looks: Sequence[Seen]) -> Any:
        if isinstance(request, Look):
            return looks[0]
        if isinstance(request, Ground):
            return await self._found(looks[0], request)
        if isinstance(request, Talk):
            view, prompted = self._prompted(request, looks)
            return _said(view, *await self._written(prompted), request)
        raise PromptError(
            "a model in vLLM compares no names and finds no text; ask it to detect or to describe instead"
        )

    async def _found(self, look: Seen, request: Ground) -> Findings:
        check_threshold(request.threshold)
        task, labels = "count" if request.verb == "count" else "detect", clean_labels(request.labels)
        parts = self._asking.grounding(look, TASKS[task], labels)
        writing = [asyncio.ensure_future(self._written(prompted)) for _, prompted in parts]
        try:
            said = await asyncio.gather(*writing)
        finally:  # if one fails, nobody waits for the others
            for one in writing:
                one.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
        answers = [(view, written) for (view, _), (written, _) in zip(parts, said, strict=True)]
        limit = 1 if request.verb == "find" else None
        return self._asking.findings(look, labels, answers, request.threshold, limit)

    def _prompted(self, talk: Talk, looks: Sequence[Seen]) -> tuple[View, Prompted]:
        """Raises `Fo1Error` for what makes no prompt."""
        if talk.region is not None and talk.region >= len(looks[0].regions):
            raise RegionError(
                f"there is no region {talk.region}; this image has {len(looks[0].regions)}, from 0"
            )
        if talk.repetition_penalty != 1:
            raise PromptError("vLLM's repetition_penalty also counts what was asked; leave it at 1")
        left = iter(looks)
        turns = [
            (turn.role, [part if isinstance(part, str) else next(left) for part in turn.parts])
            for turn in talk.turns
        ]
        view, turns = viewed(turns, self._asking.capacity)
        return view, self._asking.talk(turns, talk.new_tokens)

    async def _looks(self, request: Request) -> tuple[list[Seen], dict[str, float]]:
        """All images of a request, in order. What was looked at before is no picture any more."""
        started, images = time.perf_counter(), shown(request)
        found = [await self._look(one) if isinstance(one, Picture) else one for one in images]
        looks = [one for one in found if isinstance(one, Seen)]
        fresh = any(isinstance(one, Picture) for one in images)
        return looks, {"propose": time.perf_counter() - started} if fresh else {}

    async def _look(self, picture: Picture) -> Seen:
        image = picture.image
        if picture.tiles is not None and len(Tiling.of(image.size, picture.tiles)) > 1:
            raise RegionError("a model in vLLM looks at no tiles; cut the image up, or leave tiles out")
        regions = given_regions(picture.regions, image.size)
        if regions is None:
            loop = asyncio.get_running_loop()
            (regions,) = await loop.run_in_executor(self._thread, self._proposer.propose, [image])
        return Seen(
            image, regions if picture.top_k is None else regions.take(best_rows(regions, picture.top_k))
        )

    async def _written(self, prompted: Prompted) -> tuple[Written, int]:
        """An answer, and the length of its prompt."""
        async with aclosing(self._outputs(prompted, RequestOutputKind.FINAL_ONLY)) as outputs:
            return [one async for one in outputs][-1]

    async def _outputs(
        self, prompted: Prompted, kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    ) -> AsyncGenerator[tuple[Written, int], None]:
        """An answer as it grows; leaving the loop takes the request back. Raises `Fo1Error` and `Problem`."""
        params = self._asking.params(prompted)
        params.output_kind = kind
        try:
            async with aclosing(self._llm.generate(prompted.prompt, params, uuid.uuid4().hex)) as outputs:
                async for output in outputs:
                    yield (
                        self._asking.written(prompted, output.outputs[0]),
                        len(output.prompt_token_ids or ()),
                    )
        except VLLMClientError as error:
            raise PromptError(str(error)) from error
        except EngineGenerateError as error:
            if isinstance(error.__cause__, Fo1Error):
                raise error.__cause__ from None
            raise
        except EngineDeadError as error:
            raise Problem(503, "vLLM has stopped; start the server again", "engine_dead") from error

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Counts a request. Raises `Problem`."""
        if self._closing:
            raise Problem(503, "the server is shutting down", "closing")
        if self._at_work >= self._most:
            raise busy(f"{self._most} requests are at work")
        self._at_work += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()


def _began(folder: str, **options: Any) -> AsyncLLM:
    return AsyncLLM.from_engine_args(AsyncEngineArgs(folder, **options))


def _said(view: View, written: Written, prompt: int, talk: Talk) -> Said:
    count = len(written.ids)
    return Said(view.outward(written.text), prompt, count, count < talk.new_tokens)

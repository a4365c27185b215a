"""`make_app`: the ASGI application, put together from an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from fo1.errors import Fo1Error
from fo1.serving import chat_schema as openai
from fo1.serving.answers import BY_VERB, Failed, Posted
from fo1.serving.bodies import is_form, read_form, read_json
from fo1.serving.chat import Chats
from fo1.serving.engine import Engine
from fo1.serving.fetch import Fetcher
from fo1.serving.gate import SHARE, Gate
from fo1.serving.limits import Limits
from fo1.serving.metrics import Metrics
from fo1.serving.openapi import accepts, with_schemas
from fo1.serving.page import POLICY, page
from fo1.serving.pictures import Pictures
from fo1.serving.problems import Problem
from fo1.serving.questions import ON_SCENES, VERBS, WITH_IMAGE, Looking, Question
from fo1.serving.scenes import Scenes
from fo1.serving.tracks import Tracked, Tracking, follow
from fo1.serving.verbs import Verbs

Handler: TypeAlias = Callable[..., Awaitable[Response]]

FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failed} for status in (400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)
}


@dataclass
class Options:
    """How to serve. key: what clients must know, if anything. fetcher: None to refuse web addresses.

    hosts: names by which clients may call the server; any if there are none.
    """

    limits: Limits = field(default_factory=Limits)
    key: str | None = None
    fetcher: Fetcher | None = None
    scenes: Scenes = field(default_factory=Scenes)
    hosts: Collection[str] = ()


def make_app(engine: Engine, options: Options | None = None, metrics: Metrics | None = None) -> FastAPI:
    """Everything but the socket. The engine runs as long as the application does."""
    options, metrics = options or Options(), metrics or Metrics()
    pictures = Pictures(options.limits, options.fetcher)
    verbs = Verbs(engine, pictures, options.scenes, options.limits)
    chats = Chats(engine, pictures, options.limits, metrics)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.close()
        pictures.close()

    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(
        title="fo1",
        description="Point at things in images. Boxes are x1 y1 x2 y2 in pixels of the upright image.",
        version=metadata.version("fo1"),
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        responses=FAILURES,
    )
    metrics.watch("fo1_scenes", "Scenes that are kept.", lambda: len(options.scenes))
    app.add_middleware(Gate, limits=options.limits, metrics=metrics, key=options.key, hosts=options.hosts)
    _explain(app)
    _add_verbs(app, verbs, options.limits)
    _add_scenes(app, verbs, options.limits)
    _add_tracking(app, options.limits)
    _add_chat(app, chats)
    _add_health(app, engine, metrics)
    with_schemas(app, [*ON_SCENES.values(), *WITH_IMAGE.values(), Tracking, openai.Chat])
    return app


def _explain(app: FastAPI) -> None:
    """Every error is one JSON document that names the thing and the remedy."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(Fo1Error)
    async def user_error(request: Request, error: Fo1Error) -> Response:
        return Problem(400, str(error)).response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})).response()

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        return Problem(500, "the server failed on this request; its log says where").response()


def _add_verbs(app: FastAPI, verbs: Verbs, limits: Limits) -> None:
    for name, kind in VERBS.items():
        app.post(
            f"/v1/{name}",
            responses={200: {"model": BY_VERB[name]}},
            response_class=JSONResponse,
            description=kind.__doc__,
            openapi_extra=accepts(WITH_IMAGE[kind], form=True),
            tags=["images"],
            name=name,
        )(_asking(verbs, kind, limits))
        if name in ON_SCENES:
            app.post(
                f"/v1/scenes/{{id}}/{name}",
                responses={200: {"model": BY_VERB[name]}},
                response_class=JSONResponse,
                description=kind.__doc__,
                openapi_extra=accepts(kind),
                tags=["scenes"],
                name=f"{name} of a scene",
            )(_asking_scene(verbs, kind))


def _asking(verbs: Verbs, kind: type[Question], limits: Limits) -> Handler:
    both = WITH_IMAGE[kind]

    async def handle(request: Request) -> Response:
        source: str | bytes
        if is_form(request):
            asked, source, name = await read_form(request, both, limits.text * 4)
        else:
            asked = await read_json(request, both)
            source, name = asked.image, asked.image if asked.image.startswith("http") else "data URL"
        if not isinstance(asked, Question):
            raise TypeError(f"{both} is no question")
        return JSONResponse(await verbs.with_image(asked, asked, source, name[:2000], request.scope[SHARE]))

    return handle


def _asking_scene(verbs: Verbs, kind: type[Question]) -> Handler:
    async def handle(request: Request, id: str) -> Response:
        return JSONResponse(await verbs.of_scene(id, await read_json(request, kind)))

    return handle


def _add_scenes(app: FastAPI, verbs: Verbs, limits: Limits) -> None:
    app.post(
        "/v1/scenes",
        responses={200: {"model": Posted}},
        response_class=JSONResponse,
        description=Looking.__doc__,
        openapi_extra=accepts(WITH_IMAGE[Looking], form=True),
        tags=["scenes"],
        name="post a scene",
    )(_asking(verbs, Looking, limits))

    @app.delete("/v1/scenes/{id}", status_code=204, tags=["scenes"])
    async def forget(id: str) -> Response:
        """Forget a scene before its time."""
        verbs.scenes.drop(id)
        return Response(status_code=204)


def _add_tracking(app: FastAPI, limits: Limits) -> None:
    @app.post(
        "/v1/track",
        responses={200: {"model": Tracked}},
        response_class=JSONResponse,
        description=Tracking.__doc__,
        openapi_extra=accepts(Tracking),
        tags=["videos"],
    )
    async def track(request: Request) -> Response:
        asked = await read_json(request, Tracking)
        return JSONResponse((await run_in_threadpool(follow, asked, limits)).model_dump())


def _add_chat(app: FastAPI, chats: Chats) -> None:
    @app.post(
        "/v1/chat/completions",
        responses={200: {"model": openai.Completion, "content": {"text/event-stream": {}}}},
        response_class=JSONResponse,
        openapi_extra=accepts(openai.Chat),
        tags=["chat"],
    )
    async def chat(request: Request) -> Response:
        """Go on with a conversation, as OpenAI's API does."""
        asked = await read_json(request, openai.Chat)
        talk = await chats.talk(asked, request.scope[SHARE])
        if asked.stream:
            options = asked.stream_options or openai.StreamOptions()
            chunks = chats.chunks(talk, options.include_usage)
            return StreamingResponse(
                chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
            )
        return JSONResponse((await chats.complete(talk)).model_dump())

    @app.get("/v1/models", tags=["chat"])
    async def models() -> openai.Models:
        """What is served."""
        return chats.models()

    @app.get("/v1/models/{name:path}", tags=["chat"])
    async def model(name: str) -> openai.Model:
        """The model of this name."""
        chats.check_model(name)
        return chats.models().data[0]


def _add_health(app: FastAPI, engine: Engine, metrics: Metrics) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """Is the process alive?"""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"])
    async def readyz() -> dict[str, str]:
        """Would a request be taken now?"""
        if not engine.ready:
            raise Problem(
                503, "not ready: starting, full or shutting down", "not_ready", {"Retry-After": "1"}
            )
        return {"status": "ready"}

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def numbers() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    whole = page()

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(
            whole, headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        )

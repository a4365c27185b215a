"""`fo1 serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fo1.cli import common
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Proposer, Settings, Threads

if TYPE_CHECKING:
    from fo1.serving.engine import Engine
    from fo1.serving.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STOP_SECONDS = 120

Host = Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is every network this machine is in.")]
Port = Annotated[int, typer.Option(min=0, max=65535)]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="FO1_API_KEY",
        metavar="KEY",
        help="What clients must send as Authorization: Bearer KEY; better set FO1_API_KEY.",
        show_default=False,
    ),
]
Urls = Annotated[
    bool, typer.Option("--urls", help="Fetch images from public web addresses that clients name.")
]
Batch = Annotated[int, typer.Option(min=1, help="Most requests worked on together.")]
Wait = Annotated[float, typer.Option(min=0, help="Milliseconds to wait for others.")]
Queue = Annotated[int, typer.Option(min=1, help="Most requests at once; others hear 429.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds until a request is given up.")]
Body = Annotated[float, typer.Option(min=0.001, help="MiB of a request.")]
Pixels = Annotated[float, typer.Option(min=0.001, help="Millions of an image.")]
Tokens = Annotated[int, typer.Option(min=48, help="Of an answer.")]
Kept = Annotated[int, typer.Option(min=1, help="Most scenes that are kept.")]
Memory = Annotated[float, typer.Option(min=1, help="MiB of all of them.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|vllm[?…]",
        help='Work in this process, or in vLLM with "vllm?tensor_parallel_size=2"; see docs/serving.md.',
    ),
]
Seconds = Annotated[float, typer.Option(min=1, help="How long one is kept unused.")]


def serve(
    model: Model = DEFAULT_MODEL,
    engine: EngineName = "local",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    api_key: Key = None,
    urls: Urls = False,
    batch: Batch = 8,
    wait: Wait = 5.0,
    queue: Queue = 64,
    timeout: Timeout = 60.0,
    max_body: Body = 32.0,
    max_pixels: Pixels = 40.0,
    max_tokens: Tokens = 1024,
    scenes: Kept = 256,
    scene_memory: Memory = 1024.0,
    scene_seconds: Seconds = 600.0,
    proposer: Proposer = None,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Answer over HTTP, and show a page to try it in the browser.

    Also speaks OpenAI's chat API, under /v1; see docs/serving.md. Ctrl-C or a TERM signal stops it once what
    was accepted is answered.

    \b
    Examples:
      fo1 serve
      fo1 serve --model runs/mine/model --port 8123
      fo1 serve --model runs/mine/model --engine vllm
      FO1_API_KEY=secret fo1 serve --host 0.0.0.0
    """
    common.need("serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    import uvicorn

    from fo1.serving.app import Options, make_app
    from fo1.serving.fetch import Fetcher
    from fo1.serving.limits import Limits, MiB
    from fo1.serving.metrics import Metrics
    from fo1.serving.scenes import Scenes

    limits = Limits(
        body=int(max_body * MiB),
        pixels=int(max_pixels * 1e6),
        new_tokens=max_tokens,
        waiting=queue,
        seconds=timeout,
    )
    if host not in LOOPBACK and api_key is None:
        common.note(f"fo1: anybody who reaches {host} may use this server; FO1_API_KEY=… asks for a key")
    options = Options(
        limits,
        api_key,
        Fetcher(limits.body) if urls else None,
        Scenes(scenes, int(scene_memory * MiB), scene_seconds),
        hosts=LOOPBACK if host in LOOPBACK else (),
    )
    metrics = Metrics()
    settings = Settings(model, device, dtype, threads, proposer)
    if engine == "local":
        from fo1.serving.local import Batching, LocalEngine

        batching = Batching(batch, wait / 1000)
        answering: Engine = LocalEngine(common.load_model(settings), limits, batching, metrics.batch)
    else:
        answering = in_vllm(settings, engine, limits)
    app = make_app(answering, options, metrics)
    uvicorn.run(
        app, host=host, port=port, log_level="info", access_log=False, timeout_graceful_shutdown=STOP_SECONDS
    )


def in_vllm(settings: Settings, written: str, limits: Limits) -> Engine:
    """An engine in front of vLLM. Raises `Fo1Error`."""
    options = common.vllm_options(settings, written)
    from fo1.loading import load_proposer
    from fo1.serving.vllm_engine import VLLMEngine

    common.quieten(None)
    proposer = None if settings.proposer is None else load_proposer(settings.proposer)
    return VLLMEngine(settings.model, limits, proposer, **options)

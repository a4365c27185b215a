"""`fo1 serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from fo1.cli import common
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Proposer, Settings, Threads

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
Seconds = Annotated[float, typer.Option(min=1, help="How long one is kept unused.")]


def serve(
    model: Model = DEFAULT_MODEL,
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
      FO1_API_KEY=secret fo1 serve --host 0.0.0.0
    """
    common.need("serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    import uvicorn

    from fo1.serving.app import Options, make_app
    from fo1.serving.fetch import Fetcher
    from fo1.serving.limits import Limits, MiB
    from fo1.serving.local import Batching, LocalEngine
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
    loaded = common.load_model(Settings(model, device, dtype, threads, proposer))
    engine = LocalEngine(loaded, limits, Batching(batch, wait / 1000), metrics.batch)
    app = make_app(engine, options, metrics)
    uvicorn.run(
        app, host=host, port=port, log_level="info", access_log=False, timeout_graceful_shutdown=STOP_SECONDS
    )

"""`fo1 demo`."""

from __future__ import annotations

import socket
import webbrowser
from typing import Annotated

import typer

from fo1.cli import common
from fo1.cli.options import DEFAULT_MODEL, Device, Dtype, Model, Proposer, Settings, Threads
from fo1.errors import Fo1Error

HOST = "127.0.0.1"


def demo(
    model: Model = DEFAULT_MODEL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    proposer: Proposer = None,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
) -> None:
    """Show a page in the browser: drop a photo or a video, say what to look for, click on things.

    Only this machine can reach it. To let others in, see fo1 serve.

    \b
    Examples:
      fo1 demo
      fo1 demo --model runs/mine/model --no-browser
    """
    common.need("serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    import uvicorn

    from fo1.serving.app import Options, make_app
    from fo1.serving.local import LocalEngine

    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise Fo1Error(f"port {port} cannot be used: {error.strerror}; leave --port out") from error
    with listening:
        loaded = common.load_model(Settings(model, device, dtype, threads, proposer))
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        app = make_app(LocalEngine(loaded), Options(hosts=(HOST,)))
        typer.echo(address)
        common.note("fo1: Ctrl-C stops it")
        if browser:
            webbrowser.open(address)  # which waits in the socket's queue until the server takes it
        uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)).run([listening])

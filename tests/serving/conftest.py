"""A server of the tiny model, in process and on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi.testclient import TestClient

from fo1 import FO1
from fo1.serving.app import Options, make_app
from fo1.serving.limits import Limits
from fo1.serving.local import LocalEngine
from fo1.serving.metrics import Metrics

LIMITS = Limits(body=300_000, pixels=200_000, boxes=20, labels=20, text=2000, new_tokens=64, images=2)


@pytest.fixture(scope="session")
def client(tiny_fo1: FO1) -> Iterator[TestClient]:
    """Errors of the server are answers here, not exceptions."""
    metrics = Metrics()
    engine = LocalEngine(tiny_fo1, LIMITS, batched=metrics.batch)
    with TestClient(make_app(engine, Options(LIMITS), metrics), raise_server_exceptions=False) as running:
        yield running


@pytest.fixture(scope="session")
def live(tiny_fo1: FO1) -> Iterator[str]:
    """The address of a server on a socket; its key is "secret"."""
    app = make_app(LocalEngine(tiny_fo1, LIMITS), Options(LIMITS, key="secret", hosts=("127.0.0.1",)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)

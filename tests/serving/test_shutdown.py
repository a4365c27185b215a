"""A server that is told to stop answers what it accepted."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn

from fo1 import FO1
from fo1.serving.app import make_app
from fo1.serving.local import LocalEngine
from serving.pictures import data_url


def test_stopping_in_the_middle(tiny_fo1: FO1) -> None:
    engine = LocalEngine(tiny_fo1)
    server = uvicorn.Server(uvicorn.Config(make_app(engine), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    held = threading.Event()
    engine._thread.submit(held.wait, 10)  # the model is busy
    with ThreadPoolExecutor(8) as clients:

        def ask(_: int) -> int:
            question = {"image": data_url(), "labels": "a"}
            return httpx.post(f"{address}/v1/detect", json=question, timeout=20).status_code

        answers = [clients.submit(ask, number) for number in range(8)]
        while len(server.server_state.tasks) < 8:
            time.sleep(0.01)
        server.should_exit = True
        time.sleep(0.2)
        assert thread.is_alive()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz")
        held.set()
        assert [answer.result() for answer in answers] == [200] * 8
    thread.join(10)
    assert not thread.is_alive()

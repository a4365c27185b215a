"""Two replicas on Ray Serve: both are used, and what they say is what the library says."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from fo1 import FO1
from fo1.checkpoints.config import ModelConfig
from fo1.errors import Fo1Error
from fo1.serving.ray_app import application, from_arguments
from serving.pictures import data_url, png
from tiny import picture, region_model

COUNT, ROUNDS = 40, 20


def load(seen: Path) -> FO1:
    """seen: a folder that gets a file named like the process."""
    (seen / str(os.getpid())).touch()
    return FO1(region_model(), ModelConfig("tiny"))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    ray = pytest.importorskip("ray")
    serve = pytest.importorskip("ray.serve")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(application(partial(load, tmp_path), actor={"num_cpus": 0.5}, key="secret"))
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


@pytest.mark.slow
def test_two_replicas(address: str, tmp_path: Path, tiny_fo1: FO1) -> None:
    known = {"Authorization": "Bearer secret"}
    assert httpx.get(f"{address}/v1/models").status_code == 401

    def ask(number: int) -> object:
        asked = {"image": data_url(png(number)), "labels": "a, b", "threshold": 0}
        answer = httpx.post(f"{address}/v1/detect", json=asked, headers=known, timeout=60)
        return answer.json()["detections"]

    truth = [tiny_fo1.look(picture(i, (80, 60))).detect("a, b", 0).to_dicts() for i in range(COUNT)]
    counts: list[float] = []
    for rounds in range(1, ROUNDS + 1):  # on a busy machine the second replica may be late
        with ThreadPoolExecutor(8) as clients:
            assert list(clients.map(ask, range(COUNT))) == truth
        counts = answered(address, known)
        assert sum(counts) == rounds * COUNT
        if len(counts) == 2 and min(counts) > 0:
            break
        time.sleep(1)
    assert len(counts) == 2 and min(counts) > 0
    assert len(list(tmp_path.iterdir())) == 2


def answered(address: str, headers: dict[str, str]) -> list[float]:
    """Detections by each replica; /metrics is asked until both were heard. They differ in when they began."""
    counts: dict[str, float] = {}
    for _ in range(60):
        numbers = httpx.get(f"{address}/metrics", headers=headers).text
        (began,) = re.findall(r"^fo1_batch_size_created (.+)$", numbers, re.M)
        found = re.findall(r'^fo1_requests_total\{path="/v1/detect",status="200"\} (.+)$', numbers, re.M)
        counts[began] = sum(map(float, found))
    return list(counts.values())


def test_a_misspelt_argument() -> None:
    with pytest.raises(Fo1Error, match="replica is no argument"):
        from_arguments({"replica": "2"})

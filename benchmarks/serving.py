"""Many clients at once, on loopback: throughput and waiting times with batches and without.

    python benchmarks/serving.py                                # tiny random model, 2,400 requests
    python benchmarks/serving.py --model fo1-smol --requests 32 --clients 1 4

A process serves; this one asks, each client one question after another over its own connection. No two
images are alike, and every answer is compared with what the library says of its image alone. Numbers are of
the whole way, decoding of images included. Batches may differ from single runs in a model's last bits: scores
are compared to 0.02, boxes to half a pixel, and texts of other models than the tiny one not by their words.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PORT = 8197
LABELS = ["cat", "dog", "chair"]
VERBS: list[tuple[str, dict[str, Any]]] = [
    ("detect", {"labels": LABELS, "threshold": 0.2}),
    ("describe", {"max_tokens": 8}),
    ("count", {"label": "cat", "threshold": 0.2}),
]


def pictures(count: int, model: str) -> list[bytes]:
    """PNG mosaics for the tiny model; for others the photos of the repository, cut differently each time."""
    if model == "tiny":
        sys.path.insert(0, str(ROOT / "tests"))
        from tiny import picture

        images = [picture(seed) for seed in range(count)]
    else:
        files = sorted((ROOT / "photos").glob("*.jpg"))
        rng = np.random.default_rng(0)
        images = []
        for number in range(count):
            image = Image.open(files[number % len(files)]).convert("RGB")
            left, top = (int(rng.integers(side // 8)) for side in image.size)
            images.append(image.crop((left, top, *image.size)))
    return [_file(image, "PNG" if model == "tiny" else "JPEG") for image in images]


def _file(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def serve(model: str, batch: int) -> None:
    """What the other process does."""
    import uvicorn

    from fo1.serving.app import Options, make_app
    from fo1.serving.limits import Limits
    from fo1.serving.local import Batching, LocalEngine
    from fo1.serving.metrics import Metrics

    limits, metrics = Limits(waiting=128, seconds=600), Metrics()
    engine = LocalEngine(load(model), limits, Batching(batch), metrics.batch)
    uvicorn.run(make_app(engine, Options(limits), metrics), port=PORT, log_level="warning", access_log=False)


def load(model: str) -> Any:
    import fo1

    if model != "tiny":
        return fo1.load(model)
    sys.path.insert(0, str(ROOT / "tests"))
    from fo1.checkpoints.config import ModelConfig
    from tiny import region_model

    return fo1.FO1(region_model(), ModelConfig("tiny"))


def known(model: str, files: Sequence[bytes]) -> list[list[Any]]:
    """For each image, what the library answers to each verb."""
    loaded = load(model)
    answers = []
    for file in files:
        scene = loaded.look(file)
        answers.append(
            [
                scene.detect(LABELS, 0.2).to_dicts(),
                scene.ask("What is in this image?", 8),
                scene.locate("cat", 0.2).to_dicts(),
            ]
        )
    return answers


def differs(said: dict[str, Any], right: Any) -> bool:
    if isinstance(right, str):
        return bool(said["text"] != right) and said["model"] == "tiny"
    found = said["detections"]
    return len(found) != len(right) or any(
        a["label"] != b["label"]
        or a["region"] != b["region"]
        or abs(a["score"] - b["score"]) > 0.02
        or np.abs(np.subtract(a["box"], b["box"])).max() > 0.5
        for a, b in zip(found, right, strict=True)
    )


async def ask(clients: int, requests: int, files: Sequence[bytes], right: Sequence[Sequence[Any]]) -> Any:
    """Seconds of each request, and how many answers were wrong or missing."""
    numbers, spent, wrong, lost = itertools.count(), [], [], []
    urls = ["data:image/x;base64," + base64.b64encode(file).decode() for file in files]

    async def one(client: httpx.AsyncClient) -> None:
        while (number := next(numbers)) < requests:
            image, (verb, question) = number % len(files), VERBS[number // len(files) % len(VERBS)]
            started = time.perf_counter()
            answer = await client.post(f"/v1/{verb}", json={"image": urls[image], **question})
            spent.append(time.perf_counter() - started)
            if answer.status_code != 200:
                lost.append(answer.text)
            elif differs(answer.json(), right[image][[name for name, _ in VERBS].index(verb)]):
                wrong.append(number)

    async def client() -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=600) as connection:
            await one(connection)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - started, spent, wrong, lost


def batch_size() -> float:
    """Mean of all batches so far."""
    lines = httpx.get(f"http://127.0.0.1:{PORT}/metrics").text.splitlines()
    values = dict(line.split() for line in lines if line.startswith("fo1_batch_size_"))
    return float(values["fo1_batch_size_sum"]) / max(float(values["fo1_batch_size_count"]), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--requests", type=int, default=300, help="at each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.model, options.serve)
        return
    files = pictures(options.images, options.model)
    right, total, bad = known(options.model, files), 0, 0
    print("| batch | clients | requests/s | p50 ms | p95 ms | CPU ms/request | mean batch | wrong | lost |")
    print("|---|---|---|---|---|---|---|---|---|")
    for batch in options.batch:
        for clients in options.clients:
            command = [sys.executable, __file__, "--model", options.model, "--serve", str(batch)]
            with subprocess.Popen(command) as server:
                _wait()
                asyncio.run(ask(1, 6, files, right))  # warm
                before = _worked(server.pid)
                seconds, spent, wrong, lost = asyncio.run(ask(clients, options.requests, files, right))
                mean, worked = batch_size(), 1000 * (_worked(server.pid) - before) / options.requests
                server.terminate()
            p50, p95 = (1000 * float(v) for v in np.percentile(spent, [50, 95]))
            total, bad = total + len(spent), bad + len(wrong) + len(lost)
            rate = len(spent) / seconds
            print(
                f"| {batch} | {clients} | {rate:.1f} | {p50:.0f} | {p95:.0f} | {worked:.0f} | {mean:.1f} | "
                f"{len(wrong)} | {len(lost)} |",
                flush=True,
            )
            if lost:
                print(json.dumps(lost[:2]))
    print(f"{total} answers, {bad} wrong or lost")


def _worked(pid: int) -> float:
    """Seconds of CPU time a process has had, which other work on the machine does not stretch."""
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


def _wait() -> None:
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the server did not start")


if __name__ == "__main__":
    main()

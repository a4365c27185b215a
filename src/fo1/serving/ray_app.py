"""`application`: the same server on Ray Serve, as several replicas on one machine or many."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI

from fo1.errors import Fo1Error
from fo1.pipeline import FO1
from fo1.serving.app import Options, make_app
from fo1.serving.limits import Limits
from fo1.serving.local import LocalEngine
from fo1.serving.metrics import Metrics


def application(
    load: Callable[[], FO1],
    replicas: int = 2,
    key: str | None = None,
    limits: Limits | None = None,
    actor: dict[str, Any] | None = None,
) -> Any:
    """What `ray.serve.run` runs. Each replica is the whole server, with its own model, queue and scenes.

    load: makes a replica's model, on its machine. limits: of each replica. actor: what Ray gives to one, as
    {"num_cpus": 2, "num_gpus": 0.5}.

    A scene lives in the replica that encoded it, and Ray chooses replicas freely: with several, questions
    should come with their image. Raises `Fo1Error` if Ray Serve is not installed.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise Fo1Error("this needs Ray Serve; run: pip install 'ray[serve]'") from error
    limits = limits or Limits()

    def build() -> FastAPI:
        metrics = Metrics()
        return make_app(LocalEngine(load(), limits, batched=metrics.batch), Options(limits, key), metrics)

    deployment: Any = serve.deployment(serve.ingress(build)(), name="fo1")
    # The gate says 429 when a replica is full; Ray must not queue before it.
    return deployment.options(
        num_replicas=replicas,
        max_ongoing_requests=limits.waiting + 8,
        ray_actor_options=actor or {"num_cpus": 1},
        graceful_shutdown_timeout_s=limits.seconds,
    ).bind()


def from_arguments(arguments: dict[str, str]) -> Any:
    """For the command line: `serve run fo1.serving.ray_app:from_arguments model=fo1-smol replicas=2`.

    Takes `model`, `replicas`, and `gpus` of each. The key is FO1_API_KEY, which no list of processes shows.
    Raises `Fo1Error` for any other.
    """
    unknown = set(arguments) - {"model", "replicas", "gpus"}
    if unknown:
        raise Fo1Error(f"{min(unknown)} is no argument; give model, replicas, gpus")
    actor = {"num_cpus": 1, "num_gpus": float(arguments.get("gpus", 0))}
    load = partial(_load, arguments.get("model", "fo1-smol"))
    return application(
        load, int(arguments.get("replicas", 2)), key=os.environ.get("FO1_API_KEY"), actor=actor
    )


def _load(model: str) -> FO1:
    from fo1.loading import load

    return load(model)

"""`Metrics`: numbers for Prometheus, of one server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests, batches and tokens. Paths are those of routes: no client can invent new ones."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fo1_requests", "Requests answered.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "fo1_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("path",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "fo1_batch_size",
            "Requests that were worked on together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self._registry,
        )
        self._tokens = Counter("fo1_tokens", "Tokens of chats.", ("side",), registry=self._registry)

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A number that is looked up when asked for."""
        Gauge(name, meaning, registry=self._registry).set_function(value)

    def request(self, path: str, status: int, seconds: float) -> None:
        """One request that is over."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, size: int) -> None:
        """One batch that is about to be worked on."""
        self._batches.observe(size)

    def tokens(self, read: int, written: int) -> None:
        """Of one answer."""
        self._tokens.labels("prompt").inc(read)
        self._tokens.labels("completion").inc(written)

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)

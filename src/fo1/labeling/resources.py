"""`Resources`: who does what when an engine has many workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fo1.errors import Fo1Error

FORM = "plain, ray[?workers=N&cpus=…&gpus=…&readers=N&reader_cpus=…&reader_gpus=…], vllm[?…], or ray+vllm[?…]"
COUNTS = ("workers", "readers")


@dataclass(frozen=True)
class Resources:
    """workers: models that answer, None for as many as there is room for; cpus, gpus: of each.

    readers: processes that read images and run a proposer, with reader_cpus and reader_gpus each; without a
    proposer they are as many as it takes.
    """

    workers: int | None = None
    cpus: float = 1
    gpus: float = 0
    readers: int = 1
    reader_cpus: float = 0.25
    reader_gpus: float = 0

    @classmethod
    def parse(cls, written: str) -> Resources:
        """From "ray?workers=2&gpus=1". Raises `Fo1Error`."""
        kinds: dict[str, Callable[[str], Any]] = {
            one.name: int if one.name in COUNTS else float for one in fields(cls)
        }
        name, _, query = written.partition("?")
        try:
            chosen = {key: kinds[key](value) for key, value in parse_qsl(query, keep_blank_values=True)}
        except (KeyError, ValueError) as error:
            raise Fo1Error(f"--engine {written}: {error} is not understood; it is {FORM}") from error
        if name != "ray" or any(value < (key in COUNTS) for key, value in chosen.items()):
            raise Fo1Error(f"--engine {written}: it is {FORM}")
        return cls(**chosen)

    @classmethod
    def split(cls, written: str) -> tuple[Resources | None, str | None]:
        """Of "ray+vllm?workers=2&dtype=float16", what is Ray's, and what is vLLM's as "vllm?dtype=float16".

        None for what has no part in it. Raises `Fo1Error`.
        """
        name, _, query = written.partition("?")
        if name == "vllm":
            return None, written
        if name != "ray+vllm":
            return None if written == "plain" else cls.parse(written), None
        ours = {one.name for one in fields(cls)}
        pairs = parse_qsl(query, keep_blank_values=True)
        mine, others = (urlencode([p for p in pairs if (p[0] in ours) is own]) for own in (True, False))
        return cls.parse(f"ray?{mine}"), f"vllm?{others}" if others else "vllm"

    def fitted(self, there: Mapping[str, float]) -> int:
        """Workers in a cluster with so many "CPU" and "GPU". Raises `Fo1Error` if there is no room."""
        cpus = there.get("CPU", 0.0) - self.reader_cpus
        gpus = there.get("GPU", 0.0) - self.reader_gpus
        rooms = [have / need for have, need in ((cpus, self.cpus), (gpus, self.gpus)) if need]
        room = int(min(rooms, default=1))
        if room < (self.workers or 1):
            raise Fo1Error(
                f"{self.workers or 1} workers and a reader do not fit into {there.get('CPU', 0):g} CPUs and "
                f"{there.get('GPU', 0):g} GPUs; ask for less: --engine {FORM}"
            )
        return self.workers or room

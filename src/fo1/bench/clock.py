"""Time and memory of this process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from statistics import median

LONG = 4.0  # seconds; work of so many steps is an average by itself


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The median of several runs, after one that does not count; of long work, its only run."""
    first = _once(work)
    return first if first > LONG else median(_once(work) for _ in range(repeat))


def _once(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_mib() -> float:
    """The most memory the process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

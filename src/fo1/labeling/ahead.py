"""`ahead`: the next batch is read while this one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Read = TypeVar("Read")


def ahead(batches: Iterable[Given], read: Callable[[Given], Read]) -> Iterator[Read]:
    """`map(read, batches)`, one step ahead in a thread. Leaving the loop waits for what is being read."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting = None
        for batch in batches:
            current, waiting = waiting, pool.submit(read, batch)
            if current is not None:
                yield current.result()
        if waiting is not None:
            yield waiting.result()

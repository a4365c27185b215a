"""`Lock`: one thread at a time in a model."""

from __future__ import annotations

import threading
from types import TracebackType


class Lock:
    """Lets one thread in, as often as it likes; others wait.

    A copy is a new, open lock, so that what holds one can be copied and pickled.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Lock], tuple[()]]:
        return (Lock, ())

"""`Ahead`: reads the next step's images while this step is computed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic

from fo1.training.course import Course, Taken


class Ahead(Generic[Taken]):
    """One course, taken in equal parts by one thread, in order.

    waited: seconds that `take` had nothing to give, in all.
    """

    def __init__(self, course: Course[Taken], count: int) -> None:
        self.course, self.count = course, count
        self.waited = 0.0
        self._state = course.state_dict()
        self._skipped = course.skipped
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._next: Future[tuple[list[Taken], dict[str, Any], int]] | None = None

    def take(self) -> Sequence[Taken]:
        """The next part; the one after it is begun."""
        started = time.monotonic()
        current = self._next or self._pool.submit(self._read)
        self._next = None
        taken, self._state, self._skipped = current.result()
        self.waited += time.monotonic() - started
        self._next = self._pool.submit(self._read)
        return taken

    @property
    def skipped(self) -> int:
        """As the course's, up to what was given out."""
        return self._skipped

    def state_dict(self) -> dict[str, Any]:
        """Where to go on after what was given out; what was read ahead is read again."""
        return self._state

    def close(self) -> None:
        """Waits for what is being read."""
        self._pool.shutdown(cancel_futures=True)

    def _read(self) -> tuple[list[Taken], dict[str, Any], int]:
        taken = self.course.take(self.count)
        return taken, self.course.state_dict(), self.course.skipped

"""`paced`: how far a long run is, how fast it goes and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from fo1.cli.common import note

SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def paced(total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """What it gives is told how many more images are done.

    On standard error: a bar on a terminal, else a line a minute, for logs. done: by earlier runs.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Pace(total, done)
        return
    speed = TextColumn("{task.fields[rate]}")
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("images"), speed, TimeRemainingColumn()
    with Progress(*columns, console=console, speed_estimate_period=120) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def advance(count: int) -> None:
            bar.update(task, advance=count)
            pace = bar.tasks[task].speed
            bar.update(task, rate="" if pace is None else rate(pace))

        yield advance


class Pace:
    """Says now and then how far it is."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._now = total, done, 0
        self._started = self._said = time.monotonic()

    def __call__(self, count: int) -> None:
        self._now += count
        now = time.monotonic()
        if now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            note(self.line(now - self._started))

    def line(self, seconds: float) -> str:
        """seconds: since the start."""
        finished, speed = self._done + self._now, self._now / seconds
        left = timedelta(seconds=round((self._total - finished) / speed))
        return f"{finished}/{self._total} images, {rate(speed)}, {left} left"


def rate(images_per_second: float) -> str:
    """For people: images a second, or seconds an image."""
    if images_per_second >= 1:
        return f"{images_per_second:.1f} images/s"
    return f"{1 / max(images_per_second, 1e-9):.1f} s/image"

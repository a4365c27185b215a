from __future__ import annotations

from collections.abc import Iterator

import pytest

from fo1.bench import clock


@pytest.mark.parametrize(("durations", "median", "runs"), [([3, 1, 2, 3], 2, 4), ([5, 1], 5, 1)])
def test_median_after_a_first_run_unless_it_is_long(
    durations: list[float], median: float, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: Iterator[float] = iter(durations)
    now = 0.0
    done = 0

    def work() -> None:
        nonlocal now, done
        now, done = now + next(left), done + 1

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now)
    assert clock.seconds(work, 3) == median and done == runs

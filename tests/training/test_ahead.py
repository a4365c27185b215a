"""One step's images are read while another is computed, and no state runs ahead of what was given out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from fo1.training.ahead import Ahead
from fo1.training.losses import Prepared


class Counting:
    """A course of whole numbers; every fifth cannot be used."""

    def __init__(self, last: int = 1000, seconds: float = 0.0) -> None:
        self.position, self.skipped, self.last, self.seconds = 0, 0, last, seconds
        self.threads: set[str] = set()

    def take(self, count: int) -> list[int]:
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        numbers = range(self.position, self.position + count)
        if numbers[-1] > self.last:
            raise EOFError(f"there is no {numbers[-1]}")
        self.position += count
        self.skipped += sum(number % 5 == 4 for number in numbers)
        return [number for number in numbers if number % 5 != 4]

    def prepare(self, taken: Sequence[int]) -> list[Prepared]:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


def test_parts_come_in_order_from_one_other_thread() -> None:
    course = Counting()
    ahead = Ahead(course, 3)
    assert [ahead.take() for _ in range(3)] == [[0, 1, 2], [3, 5], [6, 7, 8]]
    ahead.close()
    assert len(course.threads) == 1 and threading.current_thread().name not in course.threads


def test_the_next_part_is_read_before_it_is_asked_for() -> None:
    course = Counting()
    ahead = Ahead(course, 3)
    ahead.take()
    while course.position < 6:  # forever, if it were not
        time.sleep(0.001)
    ahead.close()


def test_state_and_skipped_are_of_what_was_given_out() -> None:
    course = Counting()
    course.position, course.skipped = 10, 7
    ahead = Ahead(course, 5)
    assert ahead.state_dict() == {"position": 10} and ahead.skipped == 7
    for taken in (1, 2):
        ahead.take()
        assert ahead.state_dict() == {"position": 10 + 5 * taken} and ahead.skipped == 7 + taken
    ahead.close()
    course.load_state_dict(ahead.state_dict())
    again = Ahead(course, 5)
    assert again.take() == [20, 21, 22, 23]
    again.close()


def test_errors_reach_who_takes_the_part_that_has_them() -> None:
    ahead = Ahead(Counting(last=5), 3)
    assert ahead.take() == [0, 1, 2] and ahead.take() == [3, 5]
    with pytest.raises(EOFError, match="there is no 8"):
        ahead.take()
    assert ahead.state_dict() == {"position": 6}
    ahead.close()


def test_after_closing_nothing_is_read() -> None:
    course = Counting(seconds=0.05)
    ahead = Ahead(course, 1)
    ahead.take()
    ahead.close()
    position = course.position
    assert not any(thread.name in course.threads for thread in threading.enumerate())
    time.sleep(0.1)
    assert course.position == position


def test_waiting_is_measured() -> None:
    ahead = Ahead(Counting(seconds=0.05), 1)
    ahead.take()
    assert ahead.waited >= 0.05
    before = ahead.waited
    time.sleep(0.2)
    ahead.take()
    assert ahead.waited - before < 0.05
    ahead.close()

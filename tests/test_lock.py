from __future__ import annotations

import copy
import pickle
import threading

import pytest

from fo1.lock import Lock


def is_free(lock: Lock) -> bool:
    """Whether another thread gets in at once."""
    entered = threading.Event()

    def enter() -> None:
        with lock:
            entered.set()

    threading.Thread(target=enter, daemon=True).start()
    return entered.wait(0.1)


def test_one_thread_at_a_time_but_that_one_again() -> None:
    lock = Lock()
    with lock:
        with lock:
            assert not is_free(lock)
        assert not is_free(lock)
    assert is_free(lock)


def test_an_error_opens_it() -> None:
    lock = Lock()
    with pytest.raises(ValueError, match="inside"), lock:
        raise ValueError("inside")
    assert is_free(lock)


def test_a_copy_is_a_new_open_lock() -> None:
    lock = Lock()
    with lock:
        for other in (copy.deepcopy(lock), pickle.loads(pickle.dumps(lock))):
            assert is_free(other)

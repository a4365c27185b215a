from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from fo1.stopping import stop_requests


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Shells start what runs in the background with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_noted_and_the_second_acts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_requests() as request:
        assert request.signal is None
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_other_threads_get_no_signals() -> None:
    noted = []

    def ask() -> None:
        with stop_requests() as request:
            noted.append(request.signal)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert noted == [None]

from __future__ import annotations

import gc

import pytest

from fo1.garbage import uncollected


def test_the_collector_is_as_before_also_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="on the way"), uncollected():
        assert not gc.isenabled()
        raise ValueError("on the way")
    assert gc.isenabled()


def test_who_has_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

from __future__ import annotations

from collections import Counter

import pytest

from fo1.data.shuffle import Shuffle


@pytest.mark.parametrize("length", [*range(0, 40), 97, 1000, 4096, 5001])
def test_every_number_once(length: int) -> None:
    order = Shuffle(length, (3, length))
    assert len(order) == length
    assert sorted(order[i] for i in range(length)) == list(range(length))


def test_the_key_decides() -> None:
    def order(key: tuple[int, ...]) -> list[int]:
        shuffle = Shuffle(50, key)
        return [shuffle[i] for i in range(50)]

    assert order((1, 2)) == order((1, 2))
    assert len({tuple(order((1, k))) for k in range(20)}) == 20
    assert order((1, 2)) != list(range(50))


@pytest.mark.parametrize("length", [3, 7, 10])
def test_any_number_may_come_anywhere(length: int) -> None:
    seen = Counter((i, Shuffle(length, (k,))[i]) for k in range(2000) for i in range(length))
    assert len(seen) == length * length
    expected = 2000 / length
    assert all(abs(count - expected) < 6 * expected**0.5 for count in seen.values())


def test_no_traces_of_the_order() -> None:
    order = Shuffle(10_000, (0,))
    numbers = [order[i] for i in range(10_000)]
    neighbours = sum(abs(a - b) < 10 for a, b in zip(numbers, numbers[1:], strict=False))
    assert neighbours < 60  # about 19 by chance


@pytest.mark.parametrize("place", [-1, 5])
def test_places_outside(place: int) -> None:
    with pytest.raises(IndexError, match=f"place {place} of 5"):
        Shuffle(5, (0,))[place]

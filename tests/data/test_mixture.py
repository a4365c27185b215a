from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from itertools import islice
from typing import Any

import numpy as np
import pytest

from fo1.data.mixture import PERIOD, Draw, Mixture, Source, Stream, quotas
from fo1.data.settings import SettingError

WEIGHTS = {"detection": 6.0, "captions": 3.0, "general": 0.9, "rare": 0.1}
LENGTHS = {"detection": 701, "captions": 97, "general": 5000, "rare": 3}


def mixture(seed: int = 0, **weights: float) -> Mixture[str]:
    return Mixture(
        [
            Source(name, [f"{name}{i}" for i in range(LENGTHS[name])], weight)
            for name, weight in {**WEIGHTS, **weights}.items()
        ],
        seed,
    )


def key(draw: Draw[Any]) -> tuple[Any, ...]:
    return (
        draw.position,
        draw.source,
        draw.index,
        draw.epoch,
        draw.record,
        int(draw.rng().integers(1 << 40)),
    )


def take(stream: Stream[str], count: int) -> list[tuple[Any, ...]]:
    return [key(draw) for draw in islice(stream, count)]


def test_two_runs_are_equal() -> None:
    assert take(Stream(mixture()), 500) == take(Stream(mixture()), 500)
    records = {seed: [k[4] for k in take(Stream(mixture(seed)), 500)] for seed in range(3)}
    assert records[0] != records[1] != records[2]


def test_a_position_needs_no_others() -> None:
    mixed = mixture()
    in_order = [key(mixed[i]) for i in range(300)]
    assert [key(mixture()[i]) for i in reversed(range(300))] == in_order[::-1]
    assert mixed[12 * PERIOD + 5].position == 12 * PERIOD + 5


def test_a_draw_is_of_its_source() -> None:
    for draw in islice(Stream(mixture()), 200):
        assert draw.record == f"{draw.source}{draw.index}"


def test_random_choices_differ_from_draw_to_draw() -> None:
    draws = list(islice(Stream(mixture()), 200))
    assert len({int(draw.rng().integers(1 << 60)) for draw in draws}) == 200


@pytest.mark.parametrize("start", [0, 3777, PERIOD])
def test_shares(start: int) -> None:
    mixed = mixture()
    counts = Counter(mixed[i].source for i in range(start, start + 10_000))
    for name, weight in WEIGHTS.items():
        assert abs(counts[name] / 10_000 - weight / 10) < 0.01
        if start % PERIOD == 0:
            assert counts[name] == round(mixed.shares[name] * PERIOD) == weight * 1000


def test_shares_hold_in_batches_too() -> None:
    mixed = mixture()
    for rank in range(2):
        counts = Counter(draw.source for draw in islice(Stream(mixed, rank, 2), 1000))
        assert abs(counts["detection"] - 600) < 100 and abs(counts["captions"] - 300) < 90


def test_none_twice_in_an_epoch_and_every_epoch_in_another_order() -> None:
    orders: dict[tuple[str, int], list[int]] = defaultdict(list)
    mixed = mixture()
    for position in range(2 * PERIOD + 345):
        draw = mixed[position]
        orders[draw.source, draw.epoch].append(draw.index)
    for (name, epoch), order in orders.items():
        assert len(set(order)) == len(order)
        if (name, epoch + 1) in orders:
            assert sorted(order) == list(range(LENGTHS[name]))
    assert orders["captions", 0] != orders["captions", 1]
    assert orders["detection", 3] != orders["detection", 4]


@pytest.mark.parametrize("split", [0, 1, 250, 499])
def test_resume_in_the_middle(split: int) -> None:
    whole = take(Stream(mixture()), 500)
    first, second = Stream(mixture()), Stream(mixture())
    head = take(first, split)
    second.load_state_dict(first.state_dict())
    assert head + take(second, 500 - split) == whole


def test_ranks_are_disjoint_and_complete() -> None:
    whole = take(Stream(mixture()), 600)
    parts = [take(Stream(mixture(), rank, 4), 150) for rank in range(4)]
    assert sorted(k for part in parts for k in part) == whole
    assert all(not set(a) & set(b) for i, a in enumerate(parts) for b in parts[:i])


@pytest.mark.parametrize(("workers", "batch"), [(1, 4), (2, 4), (3, 5)])
def test_workers_together_read_what_one_reader_would(workers: int, batch: int) -> None:
    alone = take(Stream(mixture(), 1, 2), 6 * workers * batch)
    streams = [Stream(mixture(), 1, 2, worker, workers, batch) for worker in range(workers)]
    loaded = [k for turn in range(6 * workers) for k in take(streams[turn % workers], batch)]
    assert loaded == alone


def test_resume_with_workers_and_other_numbers_of_ranks() -> None:
    whole = take(Stream(mixture()), 400)
    # Both ranks have used 30 draws, though their workers have read ahead.
    state = Stream(mixture(), 1, 2, 0, 2, 4).state_dict(seen=30)
    assert state["position"] == 60
    resumed = []
    for rank in range(3):
        stream = Stream(mixture(), rank, 3)
        stream.load_state_dict(state)
        resumed += take(stream, 50)
        assert stream.state_dict()["position"] == 60 + 150
    assert sorted(resumed) == whole[60:210]


def test_a_worker_alone_does_not_know_how_far_all_are() -> None:
    with pytest.raises(SettingError, match="give `seen`"):
        Stream(mixture(), workers=2).state_dict()


@pytest.mark.parametrize("other", [mixture(1), mixture(rare=0.5), Mixture([Source("a", [1])])])
def test_a_state_of_another_mixture(other: Mixture[Any]) -> None:
    with pytest.raises(SettingError, match="of another mixture: (seed|sources) was"):
        Stream(other).load_state_dict(Stream(mixture()).state_dict())


def test_it_can_be_sent_to_workers() -> None:
    mixed = mixture(5)
    before = key(mixed[7])
    copy = pickle.loads(pickle.dumps(mixed))
    assert key(copy[7]) == before and copy.fingerprint() == mixed.fingerprint()


def test_quotas() -> None:
    assert quotas([1, 1, 1], 10).tolist() == [4, 3, 3]
    assert quotas([1000, 1e-9], 10).tolist() == [9, 1]
    assert quotas([1e-9] * 9 + [1000], 10).tolist() == [1] * 10
    rng = np.random.default_rng(0)
    for _ in range(200):
        weights = rng.exponential(size=rng.integers(1, 9)) ** 4 + 1e-12
        split = quotas(weights, 100)
        assert split.sum() == 100 and split.min() >= 1
        if (weights / weights.sum() * 100).min() > 1:
            assert np.abs(split - weights / weights.sum() * 100).max() < 1


@pytest.mark.parametrize(
    ("sources", "match"),
    [
        ([], "0 sources"),
        ([Source("a", [])], "'a' has no records"),
        ([Source("a", [1], 0.0)], "weight 0.0"),
        ([Source("a", [1], float("nan"))], "weight nan"),
        ([Source("a", [1]), Source("a", [2])], "two sources are called 'a'"),
    ],
)
def test_sources_that_cannot_be_mixed(sources: list[Source[Any]], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        Mixture(sources)


@pytest.mark.parametrize("numbers", [(2, 2, 0, 1, 1), (0, 0, 0, 1, 1), (0, 1, 1, 1, 1), (0, 1, 0, 1, 0)])
def test_readers_that_cannot_be(numbers: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="numbers run from 0"):
        Stream(mixture(), *numbers)


def test_a_record_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    class Damaged(list[int]):
        def __getitem__(self, index: Any) -> Any:
            if index == 3:
                raise SettingError("damaged")
            return super().__getitem__(index)

    stream, read = Stream(Mixture([Source("a", Damaged(range(6)))])), []
    for _ in range(6):
        try:
            read.append(next(stream).record)
        except SettingError:
            continue
    assert sorted(read) == [0, 1, 2, 4, 5]
    assert stream.state_dict()["position"] == 6


def test_no_position_before_the_first() -> None:
    with pytest.raises(IndexError):
        mixture()[-1]

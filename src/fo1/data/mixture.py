"""`Mixture`: weighted sources as one endless, reproducible sequence; `Stream`: one reader's part of it.

Everything follows from the seed and a position: which source, which of its records, and the random choices
made with it. So nothing is stored but the position, any place can be read directly (a map-style data set
with any number of loader workers), and a run resumes at the exact sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fo1.data.settings import SettingError
from fo1.data.shuffle import Shuffle

Item_co = TypeVar("Item_co", covariant=True)
Item = TypeVar("Item")

PERIOD = 10_000  # positions after which every source has had exactly its share
# One key per kind of choice, so that no two are made with the same random numbers.
_SCHEDULE, _ORDER, _CHOICES = 0, 1, 2


class Records(Protocol[Item_co]):
    """Random access by number: a list, a file of records, anything with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item_co: ...


@dataclass(frozen=True)
class Source(Generic[Item]):
    """One set of records. weight: its share of the mixture, against the other sources' weights."""

    name: str
    records: Records[Item]
    weight: float = 1.0


@dataclass(frozen=True)
class Draw(Generic[Item]):
    """What stands at a position of a mixture.

    source: its name. index: the record's number there. epoch: how often the source was gone through before.
    """

    position: int
    source: str
    index: int
    epoch: int
    record: Item
    seed: int

    def rng(self) -> np.random.Generator:
        """For the choices made with this record (jitter, negatives): the same whenever it is drawn here."""
        return np.random.default_rng((self.seed, _CHOICES, self.position))


class Mixture(Generic[Item]):
    """An endless sequence of records from several sources.

    In each `PERIOD` positions every source has its exact share, rounded to 1/PERIOD and at least one, in
    random order. Each source is gone through in a new order every epoch, and no record comes twice before
    all others have come. General vision-language data is one more source.

    Raises `SettingError` if there are no sources, or one is empty, has no positive weight, or shares a name.
    """

    def __init__(self, sources: Sequence[Source[Item]], seed: int = 0) -> None:
        self.sources, self.seed = tuple(sources), seed
        _check(self.sources)
        self._quotas = quotas([source.weight for source in self.sources], PERIOD)
        # Bound per mixture: two periods are enough for readers that run through, workers included.
        self._period = lru_cache(maxsize=2)(self._scheduled)
        self._shuffle = lru_cache(maxsize=4 * len(self.sources))(self._shuffled)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each source, as rounded."""
        return {s.name: q / PERIOD for s, q in zip(self.sources, self._quotas.tolist(), strict=True)}

    def locate(self, position: int) -> tuple[int, int, int]:
        """Which source a position draws from, that source's epoch, and the record's number. Reads nothing.

        Raises `IndexError` for a negative position.
        """
        if position < 0:
            raise IndexError(f"position {position} of a mixture")
        period, within = divmod(position, PERIOD)
        chosen, before = self._period(period)
        number = int(chosen[within])
        drawn = period * int(self._quotas[number]) + int(before[within])
        epoch, place = divmod(drawn, len(self.sources[number].records))
        return number, epoch, self._shuffle(number, epoch)[place]

    def __getitem__(self, position: int) -> Draw[Item]:
        number, epoch, index = self.locate(position)
        source = self.sources[number]
        return Draw(position, source.name, index, epoch, source.records[index], self.seed)

    def fingerprint(self) -> dict[str, Any]:
        """What decides the order; a state can be resumed only where this is the same."""
        return {
            "seed": self.seed,
            "sources": [
                [s.name, len(s.records), int(q)] for s, q in zip(self.sources, self._quotas, strict=True)
            ],
        }

    def _scheduled(self, period: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source at each place of a period, and how often that source came before in it."""
        slots = np.repeat(np.arange(len(self.sources)), self._quotas)
        chosen = np.random.default_rng((self.seed, _SCHEDULE, period)).permutation(slots)
        before = np.zeros_like(chosen)
        for number, quota in enumerate(self._quotas):
            before[chosen == number] = np.arange(quota)
        return chosen, before

    def _shuffled(self, number: int, epoch: int) -> Shuffle:
        return Shuffle(len(self.sources[number].records), (self.seed, _ORDER, number, epoch))

    def __getstate__(self) -> dict[str, Any]:
        # Caches are not sent to loader workers.
        return {"sources": self.sources, "seed": self.seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["sources"], state["seed"])  # type: ignore[misc]


class Stream(Generic[Item]):
    """The draws of one reader among several, resumable; an iterator without end.

    Of every `world_size` positions in a row each rank reads one. Within a rank, workers read in turn
    `batch` draws each, so that a loader that collects batches from its workers in turn sees the order that
    one reader would. (A map-style loader needs no workers here: let it read `mixture[position]`.)
    """

    def __init__(
        self,
        mixture: Mixture[Item],
        rank: int = 0,
        world_size: int = 1,
        worker: int = 0,
        workers: int = 1,
        batch: int = 1,
    ) -> None:
        if not (0 <= rank < world_size and 0 <= worker < workers and batch >= 1):
            raise SettingError(
                f"rank {rank} of {world_size}, worker {worker} of {workers}, batch {batch}: "
                "numbers run from 0 to one below the total"
            )
        self.mixture, self.rank, self.world_size = mixture, rank, world_size
        self.worker, self.workers, self.batch = worker, workers, batch
        self._start, self._read = 0, 0

    def __iter__(self) -> Iterator[Draw[Item]]:
        return self

    def __next__(self) -> Draw[Item]:
        turn, within = divmod(self._read, self.batch)
        sample = (turn * self.workers + self.worker) * self.batch + within
        # Counted first: who skips a record that cannot be read gets the next one.
        self._read += 1
        return self.mixture[self._start + sample * self.world_size + self.rank]

    def state_dict(self, seen: int | None = None) -> dict[str, Any]:
        """Where to go on: the first position that no rank has read.

        seen: draws that the whole rank has used since its start or the last `load_state_dict`; needed if
        there are several workers, or a loader that reads ahead. None: as many as this stream has given.
        Raises `SettingError` if one worker of several is asked without `seen`.
        """
        if seen is None and self.workers > 1:
            raise SettingError("one worker does not know how far the others are; give `seen`")
        used = self._read if seen is None else seen
        return {"position": self._start + used * self.world_size, **self.mixture.fingerprint()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the state was taken, also with other numbers of ranks, workers or draws a batch.

        Raises `SettingError` if the mixture is not the one the state is of.
        """
        for key, value in self.mixture.fingerprint().items():
            if state.get(key) != value:
                raise SettingError(
                    f"the saved position is of another mixture: {key} was {state.get(key)} and is {value}; "
                    "resume with the same sources, weights and seed, or start anew"
                )
        self._start, self._read = int(state["position"]), 0


def quotas(weights: Sequence[float], total: int) -> NDArray[np.int64]:
    """`total` split by weight into whole numbers, none below 1: largest remainders round up."""
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    # One for each source beforehand, so that a rare one is not rounded away.
    exact = np.maximum(shares * total, 1)
    exact *= total / exact.sum()
    whole = np.maximum(np.floor(exact).astype(np.int64), 1)
    rest = total - int(whole.sum())
    order = np.argsort(whole - exact, kind="stable")
    if rest > 0:
        whole[order[:rest]] += 1
    while rest < 0:  # only where rare sources were raised to 1
        whole[int(np.argmax(whole))] -= 1
        rest += 1
    return whole


def _check(sources: Sequence[Source[Any]]) -> None:
    if not 0 < len(sources) <= PERIOD:
        raise SettingError(f"{len(sources)} sources; a mixture has 1 to {PERIOD}")
    names = [source.name for source in sources]
    for source in sources:
        if not (np.isfinite(source.weight) and source.weight > 0):
            raise SettingError(f"source {source.name!r} has weight {source.weight}; give a positive number")
        if not len(source.records):
            raise SettingError(f"source {source.name!r} has no records; leave it out")
        if names.count(source.name) > 1:
            raise SettingError(f"two sources are called {source.name!r}; give each its own name")

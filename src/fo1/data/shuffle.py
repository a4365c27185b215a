"""`Shuffle`: a random order of any number of things that is computed, not stored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ROUNDS = 8
_WORD = (1 << 64) - 1


class Shuffle:
    """A permutation of 0 … length-1, decided by `key` alone; a hundred million take no more memory than ten.

    Numbers are pairs (row, column) of a table barely larger than `length`. A few rounds turn each row's
    column and each column's row by keyed hashes, which can be undone and so maps no two numbers to one
    (a Feistel network); a place behind the end is mapped again until it falls inside.
    Raises `IndexError` for places outside.
    """

    def __init__(self, length: int, key: Sequence[int]) -> None:
        self.length = length
        self._rows = max(1, math.isqrt(max(length - 1, 0)) + 1)
        self._columns = max(1, -(-length // self._rows))
        self._keys = [int(k) for k in np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64)]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < self.length:
            raise IndexError(f"place {place} of {self.length}")
        place = self._once(place)
        while place >= self.length:
            place = self._once(place)
        return place

    def _once(self, place: int) -> int:
        row, column = divmod(place, self._columns)
        for even, odd in zip(self._keys[::2], self._keys[1::2], strict=True):
            row = (row + _mixed(column ^ even)) % self._rows
            column = (column + _mixed(row ^ odd)) % self._columns
        return row * self._columns + column


def _mixed(value: int) -> int:
    """64 bits that depend on all bits of `value` (multiply and fold, thrice)."""
    value = (value * 0x9E3779B97F4A7C15) & _WORD
    value = ((value ^ (value >> 32)) * 0xD6E8FEB86659FD93) & _WORD
    value = ((value ^ (value >> 32)) * 0xD6E8FEB86659FD93) & _WORD
    return value ^ (value >> 32)

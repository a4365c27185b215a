"""`RegionTruth`: a region, and what there is to say of it."""

from __future__ import annotations

from typing import NamedTuple


class RegionTruth(NamedTuple):
    """Truth of the benchmarks that ask about one given region.

    region: its number among the sample's boxes. texts: right answers, one or more.
    """

    region: int
    texts: tuple[str, ...]

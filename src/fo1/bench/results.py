"""`Results`: what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from fo1.bench.clock import peak_mib


@dataclass
class Results:
    """Numbers by what they are of.

    seconds: medians. memory_mib: the most held so far, after a stage. ratios: how many times less ours takes.
    tokens: for each object of an answer.
    """

    model: str
    size: tuple[int, int]
    regions: int
    threads: int
    repeat: int
    seconds: dict[str, float] = field(default_factory=dict)
    memory_mib: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)

    def took(self, stage: str, seconds: float) -> None:
        """Notes a stage's time and the memory held by then."""
        self.seconds[stage] = seconds
        self.memory_mib[stage] = peak_mib()

    def compare(self, name: str, rival: str, ours: str) -> None:
        """Notes how many times less seconds one stage takes than another."""
        self.ratios[name] = self.seconds[rival] / self.seconds[ours]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: seconds to a hundredth of a millisecond, everything else to two places."""
        rounded: dict[str, Any] = {
            name: {key: round(value, 5 if name == "seconds" else 2) for key, value in values.items()}
            for name, values in asdict(self).items()
            if isinstance(values, dict)
        }
        return asdict(self) | {"size": list(self.size)} | rounded

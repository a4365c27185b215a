"""The benchmarks there are, by name. Installed packages add theirs as entry points "fo1.benchmarks".

Import `BENCHMARKS` from `fo1.evaluation.benchmarks`, where all that this package has are registered.
"""

from __future__ import annotations

from typing import Any

from fo1.evaluation.benchmark import Benchmark
from fo1.registry import Registry

# Each factory takes nothing and makes its benchmark; no file is opened before `Benchmark.open`.
BENCHMARKS: Registry[Benchmark[Any]] = Registry("fo1.benchmarks")

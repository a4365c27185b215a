from __future__ import annotations

import pytest

from fo1.evaluation.benchmarks import BENCHMARKS
from fo1.evaluation.box_benchmark import BoxBenchmark

DETECTION = ("coco", "lvis", "odinw13", "ovdeval")
REFERRING = ("refcoco", "refcoco+", "refcocog", "grefcoco", "humanref", "humanref-candidates")


@pytest.mark.parametrize("name", DETECTION + REFERRING)
def test_by_name(name: str) -> None:
    benchmark = BENCHMARKS.get(name)()
    assert isinstance(benchmark, BoxBenchmark)
    assert benchmark.name == name and benchmark.splits and benchmark.layout and benchmark.description
    benchmark.metric().compute()  # without samples: no figures, no error

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.answers import tiny_model
from evaluation.benchmarks import test_coco, test_grefcoco, test_humanref, test_lvis, test_odinw, test_ovdeval
from evaluation.benchmarks import test_refcoco as test_refs
from fo1.evaluation.benchmarks import BENCHMARKS
from fo1.evaluation.predictions import PredictionFile
from fo1.evaluation.run import open_samples, run, settings_of
from fo1.pipeline import FO1


@pytest.fixture(scope="module")
def model() -> FO1:
    return tiny_model()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("coco", test_coco.folder),
        ("lvis", test_lvis.folder),
        ("odinw13", test_odinw.folder),
        ("ovdeval", test_ovdeval.folder),
        ("refcoco", test_refs.folder),
        ("grefcoco", test_grefcoco.folder),
        ("humanref", test_humanref.folder),
        ("humanref-candidates", test_humanref.folder),
    ],
)
def test_a_whole_run(model: FO1, tmp_path: Path, name: str, folder: Callable[..., Path]) -> None:
    """Every sample is answered by a real model, and scored from what was kept."""
    benchmark: Any = BENCHMARKS.get(name)()
    samples, data, split = open_samples(benchmark, folder(tmp_path), None)
    kept = PredictionFile.start(tmp_path / "out", settings_of(benchmark, split, data, samples, model, None))
    run(benchmark, model, samples, kept)
    metric = benchmark.metric()
    for sample in samples:
        assert kept[sample.id].error is None
        assert set(kept[sample.id].prediction["scores"]) == set(sample.truth.labels)
        metric.update(sample, kept[sample.id].prediction)
        assert 0 <= metric.score(sample, kept[sample.id].prediction) <= 1
    figures = [value for value in metric.compute().values() if not np.isnan(value)]
    assert figures and min(figures) >= 0 and max(figures) <= 1

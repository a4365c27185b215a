from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from evaluation.answers import MeanF1, Tiles, grounded, tiles
from fo1.errors import Fo1Error
from fo1.evaluation.benchmark import Benchmark, Prediction, Sample
from fo1.evaluation.compare import compare, read_pair
from fo1.evaluation.predictions import Outcome, PredictionFile, RunError
from fo1.evaluation.report import Report, prepare
from fo1.scene import Scene

SETTINGS = {"benchmark": "tiles", "split": "val", "samples": "8", "model": "scripted", "threshold": 0.5}
RIGHT = grounded([[0, 0, 40, 30], [50, 30, 80, 60]], {"tile": [0.9, 0.1]}, proposer=[0.2, 0.9])
WRONG = grounded([[0, 0, 40, 30], [50, 30, 80, 60]], {"tile": [0.1, 0.8]})
NO_DOG = grounded([[0, 0, 40, 30]], {"dog": [0.1]})


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return Tiles().open(tiles(tmp_path), "val")


def answered(folder: Path, samples: list[Sample], right: int, failed: int = 0) -> PredictionFile:
    """A run that finds the tiles of the first pictures only; of the last ones it fails."""
    kept = PredictionFile.start(folder, {**SETTINGS, "model": f"finds {right}", "data": str(folder)})
    for number, one in enumerate(samples):
        said = NO_DOG if one.id.endswith("dog") else RIGHT if number < 2 * right else WRONG
        if number >= len(samples) - failed:
            kept.add(one.id, Outcome(None, "it | broke"))
        else:
            kept.add(one.id, Outcome(said.to_json()))
    return kept


def test_a_report_of_boxes(tmp_path: Path, samples: list[Sample]) -> None:
    pytest.importorskip("matplotlib")
    kept = answered(tmp_path / "out", samples, right=2, failed=1)
    report = Report.of(Tiles(), samples, kept)
    # Two boxes of 0.9 are right, two of 0.8 wrong, and of seven of 0.1 two are right.
    calibration = pytest.approx((2 * 0.1 + 2 * 0.8 + 7 * (2 / 7 - 0.1)) / 11, abs=1e-5)
    assert report.summary() == {
        "metrics": {"F1": 5 / 8, "best": 0.9, "never": None, "calibration error": calibration},
        "samples": 8,
        "failed": 1,
    }
    assert report.failures == {"val/3.png/dog": "it | broke"}
    assert [case.sample.id for case in report.worst] == ["val/2.png/tile", "val/3.png/tile"]
    report.write(tmp_path / "out", kept)
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["run"]["model"] == "finds 2" and set(written["confidences"]) == {
        "own",
        "proposer",
        "product",
    }
    assert written["errors by size"]["medium"]["hits"] == 2
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| F1 | 0.625 | 0.625 | 0.625 |" in page and "| best | 0.9 | 1 | 0.8 |" in page
    assert "| calibration error | 0.2818 | – | – |" in page and "- val/3.png/dog: it | broke" in page
    for name in ("pr", "calibration", "sizes", "labels"):
        assert f"({name}.png)" in page
        assert Image.open(tmp_path / "out" / f"{name}.png").size == (550, 440)
    worst = (tmp_path / "out" / "worst.md").read_text()
    assert "## val/2.png/tile: 0" in worst and "(worst/01.png)" in worst
    drawn = Image.open(tmp_path / "out" / "worst" / "01.png")
    assert drawn.size == (80, 60) and drawn.tobytes() != Image.open(samples[4].image).tobytes()


@dataclass(frozen=True)
class Words:
    """A truth that is no box."""

    text: str


class Exact:
    """Is the text right? Knows no sample before the first."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.right: list[float] = []

    def update(self, sample: Sample[Words], prediction: Prediction | None) -> None:
        self.right.append(self.score(sample, prediction))

    def compute(self) -> dict[str, float]:
        return {"exact": sum(self.right) / len(self.right)}

    def score(self, sample: Sample[Words], prediction: Prediction | None) -> float:
        return float(prediction is not None and prediction["text"] == sample.truth.text)


class Reading(Benchmark[Words]):
    name, description, splits, layout = "reading", "", ("test",), ""

    def open(self, folder: Path, split: str) -> list[Sample[Words]]:
        return [Sample(word, Image.new("RGB", (40, 20)), Words(word)) for word in ("one", "two")]

    def ask(self, scene: Scene, sample: Sample[Words]) -> Prediction:
        return {"text": "one"}

    def metric(self) -> Exact:
        return Exact()


def test_a_report_of_words_needs_no_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    both = Reading().open(tmp_path, "test")
    kept = PredictionFile.start(tmp_path / "out", SETTINGS)
    for one in both:
        kept.add(one.id, Outcome({"text": "one"}))
    report = Report.of(Reading(), both, kept)
    report.write(tmp_path / "out", kept)
    assert report.summary() == {"metrics": {"exact": 0.5}, "samples": 2, "failed": 0}
    assert "| exact | 0.5 |" in (tmp_path / "out" / "report.md").read_text()
    worst = (tmp_path / "out" / "worst.md").read_text()
    assert "truth:  Words(text='two')" in worst and 'answer: {"text": "one"}' in worst
    with pytest.raises(Fo1Error, match=r"matplotlib.*pip install 'fo1\[eval\]'"):
        prepare(Tiles(), write=True)
    prepare(Tiles(), write=False)


class Talkative(Tiles):
    """Its predictions say more than boxes, and its metric reads it."""

    def metric(self) -> MeanF1:
        class Reads(MeanF1):
            def score(self, sample: Sample, prediction: Prediction | None) -> float:
                return 0.0 if prediction is None else float(prediction["words"])

        return Reads()


def test_rescored_answers_keep_what_else_they_say(tmp_path: Path, samples: list[Sample]) -> None:
    kept = PredictionFile.start(tmp_path / "out", SETTINGS)
    kept.add(samples[0].id, Outcome({**RIGHT.to_json(), "words": 0.75}))
    report = Report.of(Talkative(), samples[:1], kept)
    assert [figures["F1"] for figures in report.confidences.values()] == [0.75, 0.75, 0.75]


def test_samples_without_answers_count_as_failed(tmp_path: Path, samples: list[Sample]) -> None:
    kept = answered(tmp_path / "out", samples[:4], right=2)
    report = Report.of(Tiles(), samples, kept)
    assert report.summary()["failed"] == 4 and report.metrics["F1"] == 0.5
    assert report.failures["val/3.png/dog"] == "was not asked"


def test_two_runs_side_by_side(tmp_path: Path, samples: list[Sample]) -> None:
    answered(tmp_path / "a", samples, right=1)
    answered(tmp_path / "b", samples[:6], right=3)
    runs = read_pair(tmp_path / "a", tmp_path / "b")
    ticks: list[int] = []
    found = compare(Tiles(), samples, runs, resamples=100, seed=3, advance=ticks.append)
    assert found.samples == 6 and len(ticks) == found.resamples == 100
    row = found.rows[0]
    assert row.name == "F1" and (row.first.value, row.second.value) == (pytest.approx(4 / 6), 1)
    assert row.second.low == row.second.high == 1
    assert row.first.low < row.first.value < row.first.high
    assert row.difference.value == pytest.approx(2 / 6) and row.difference.low >= 0
    # Pairing: what the second run is better by is what the first one lacks, draw by draw.
    assert row.difference.high == pytest.approx(1 - row.first.low)
    again = compare(Tiles(), samples, runs, resamples=100, seed=3)
    assert json.dumps(again.to_json()) == json.dumps(found.to_json())
    assert json.loads(json.dumps(found.to_json()))["metrics"]["never"]["difference"]["low"] is None
    assert math.isnan(found.rows[2].first.value)


def test_runs_that_cannot_be_compared(tmp_path: Path, samples: list[Sample]) -> None:
    answered(tmp_path / "a", samples, right=1)
    PredictionFile.start(tmp_path / "b", {**SETTINGS, "split": "test"})
    PredictionFile.start(tmp_path / "c", SETTINGS)
    with pytest.raises(RunError, match="cannot be compared: split is 'val' and 'test'"):
        read_pair(tmp_path / "a", tmp_path / "b")
    with pytest.raises(RunError, match="no sample in common"):
        compare(Tiles(), samples, read_pair(tmp_path / "a", tmp_path / "c"))

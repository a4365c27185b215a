from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fo1.detection import Detection
from fo1.errors import ImageError
from fo1.evaluation.cases import Case
from fo1.evaluation.measure import measure
from fo1.findings import Findings
from fo1.types import FloatArray, Regions

SIZE = (100, 50)
PICTURE = Image.new("RGB", SIZE)
REGIONS = Regions.of([[0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 80, 20]], SIZE)


def boxes(*rows: list[float]) -> FloatArray:
    return np.array(rows, dtype=np.float32)


@dataclass
class StubScene:
    """Knows what it will answer: scores (N,) per label, descriptions per region."""

    scores: dict[str, list[float]]
    said: dict[int, str] = field(default_factory=dict)
    regions: Regions = REGIONS
    asked: list[tuple[list[str], float | None]] = field(default_factory=list)
    described: list[int] = field(default_factory=list)
    known_names: tuple[str, ...] = ("cup", "spoon", "fork")

    def detect(self, labels: list[str], threshold: float | None = None) -> Findings:
        self.asked.append((labels, threshold))
        least = 0.5 if threshold is None else threshold
        found = [
            Detection(label, tuple(self.regions.xyxy[i]), score, i)
            for label in labels
            for i, score in enumerate(self.scores[label])
            if score >= least
        ]
        plain = Findings.of(found, SIZE)
        confidence = {label: np.array(self.scores[label], dtype=np.float32) for label in labels}
        return Findings(plain.xyxy, plain.scores, plain.labels, plain.regions, SIZE, confidence=confidence)

    def describe(self, region: int) -> str:
        self.described.append(region)
        return self.said.get(region, "something")

    def names(self, region: int, count: int) -> list[tuple[str, float]]:
        assert count == 1
        return [(self.known_names[region], 0.5)]


class StubFO1:
    """Gives its scenes one after another."""

    def __init__(self, *scenes: StubScene) -> None:
        self.scenes = list(scenes)

    def look(self, image: Image.Image | Path) -> StubScene:
        if isinstance(image, Path):
            raise ImageError(f"{image}: no such file")
        assert image is PICTURE
        return self.scenes.pop(0)


def test_what_is_found_missed_and_refused_adds_up() -> None:
    scene = StubScene(
        {"cup": [0.9, 0.8, 0.1], "spoon": [0.2, 0.1, 0.4], "dog": [0.1, 0.1, 0.1], "cat": [0.6, 0.0, 0.0]}
    )
    truth = {"cup": boxes([0, 0, 20, 20], [60, 0, 80, 20]), "spoon": boxes([60, 0, 80, 21])}
    tally = measure(StubFO1(scene), [Case(PICTURE, truth, ("dog", "cat"))], namings=0)
    assert scene.asked == [(["cup", "spoon", "dog", "cat"], None)]
    assert (tally.hits, tally.predicted, tally.true) == (1, 3, 3)
    assert (tally.refused, tally.absent) == (1, 2)
    assert (tally.counted, tally.counted_near, tally.counts) == (1, 2, 2)
    assert tally.positive == pytest.approx([0.9, 0.1, 0.4])
    assert sorted(tally.negative) == pytest.approx([0.0, 0.0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.6, 0.8])
    assert tally.namings == 0 and scene.described == []


def test_cases_add_up_and_the_threshold_is_passed_on() -> None:
    scenes = [StubScene({"cup": [0.3, 0.0, 0.0]}) for _ in range(3)]
    cases = [Case(PICTURE, {"cup": boxes([0, 0, 20, 20])}, ()) for _ in scenes]
    tally = measure(StubFO1(*scenes), cases, threshold=0.25)
    assert (tally.hits, tally.true) == (3, 3) and scenes[0].asked == [(["cup"], 0.25)]
    again = [StubScene({"cup": [0.3, 0.0, 0.0]}) for _ in range(3)]
    assert measure(StubFO1(*again), cases, threshold=0.35).hits == 0


def test_naming_asks_about_the_region_that_fits_best() -> None:
    none = [0.0, 0.0, 0.0]
    scene = StubScene({"cup": none, "spoon": none, "fork": none, "pan": none}, {0: " Cup ", 1: "knife"})
    truth = {
        "cup": boxes([0, 0, 20, 22], [60, 0, 80, 20]),
        "spoon": boxes([30, 0, 50, 19]),
        "fork": boxes([60, 0, 80, 20]),
    }
    tally = measure(StubFO1(scene), [Case(PICTURE, truth, ())], namings=2)
    assert scene.described == [0, 1], "two at most, and of each label the first thing"
    assert (tally.described, tally.named, tally.namings) == (1, 2, 2)


def test_a_model_that_knows_no_names_only_describes() -> None:
    scene = StubScene({"cup": [0.0, 0.0, 0.0]}, {0: "cup"}, known_names=())
    tally = measure(StubFO1(scene), [Case(PICTURE, {"cup": boxes([0, 0, 20, 20])}, ())])
    assert (tally.described, tally.named, tally.namings) == (1, 0, 1)


def test_a_thing_that_no_region_covers_is_not_named() -> None:
    scene = StubScene({"cup": [0.0, 0.0, 0.0]})
    tally = measure(StubFO1(scene), [Case(PICTURE, {"cup": boxes([0, 0, 60, 50])}, ())])
    assert tally.namings == 0 and scene.described == []


def test_a_scene_without_regions_misses_everything() -> None:
    scene = StubScene({"cup": [], "dog": []}, regions=Regions.empty(SIZE))
    tally = measure(StubFO1(scene), [Case(PICTURE, {"cup": boxes([0, 0, 9, 9])}, ("dog",))])
    assert (tally.true, tally.hits, tally.refused, tally.namings) == (1, 0, 1, 0)
    assert not tally.positive and not tally.negative


def test_every_region_is_ranked_even_below_the_threshold() -> None:
    scene = StubScene({"cup": [0.4, 0.2, 0.1]})
    results = measure(StubFO1(scene), [Case(PICTURE, {"cup": boxes([0, 0, 20, 20])}, ())]).results()
    assert results["AUC"] == 1 and results["recall"] == 0


def test_a_picture_that_cannot_be_read_is_counted_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    truth = {"cup": boxes([0, 0, 20, 20])}
    cases = [Case(Path("nix.png"), truth, ("dog",)), Case(PICTURE, truth, ())]
    tally = measure(StubFO1(StubScene({"cup": [0.9, 0.0, 0.0]})), cases, namings=0)
    assert tally.results()["failed"] == 1 and "nix.png: no such file" in caplog.text
    assert (tally.hits, tally.true, tally.absent) == (1, 1, 0)

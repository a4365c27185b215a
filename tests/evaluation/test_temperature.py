from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import Native
from fo1.data.quiz import quizzes
from fo1.data.record import ImageRef, Record
from fo1.evaluation.temperature import (
    CalibrationError,
    Observed,
    calibrated,
    chances,
    likeliest,
    log_odds,
)
from fo1.pipeline import FO1
from fo1.settings import Settings
from tiny import picture, region_model


def test_the_likeliest_temperature_is_the_one_the_answers_came_from() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 4, 20000)
    for truth in (0.5, 1.0, 2.5):
        right = rng.random(len(odds)) < chances(odds, truth)
        assert likeliest(odds, right) == pytest.approx(truth, rel=0.05)


def test_nothing_follows_from_regions_of_one_kind() -> None:
    for right, message in ((False, "no region is right"), (True, "every region is right")):
        with pytest.raises(CalibrationError, match=message):
            likeliest(np.ones(3), np.full(3, right))
    with pytest.raises(CalibrationError, match="no region is right"):
        likeliest(np.zeros(0), np.zeros(0, bool))


def test_log_odds_and_back() -> None:
    scores = np.array([0, 0.2, 0.5, 0.999, 1], np.float32)
    assert chances(log_odds(scores), 1.0) == pytest.approx(scores, abs=2e-7)


@pytest.fixture(scope="module")
def model() -> FO1:
    config = ModelConfig("tiny", threshold=0.3)
    return FO1(region_model(), Settings("tiny", threshold=0.3), Native(Path(), config, {}))


def test_a_calibrated_model_decides_as_before(model: FO1) -> None:
    cooler = calibrated(model, 2.0)
    before, after = model.look(picture(0)).detect("cup, dog"), cooler.look(picture(0)).detect("cup, dog")
    assert len(before) and before.regions.tolist() == after.regions.tolist()
    assert chances(log_odds(before.scores), 2.0) == pytest.approx(after.scores, abs=1e-5)
    assert isinstance(cooler.description, Native)
    config = cooler.description.config
    assert (config.temperature, config.threshold) == (2.0, cooler.settings.threshold)
    assert cooler.settings.threshold == pytest.approx(1 / (1 + (0.7 / 0.3) ** 0.5), abs=1e-4)
    back = calibrated(cooler, 1.0)
    assert back.settings.threshold == pytest.approx(0.3, abs=2e-4)


def test_models_that_report_what_they_name_keep_their_threshold(model: FO1) -> None:
    writes = FO1(model.model, replace(model.settings, threshold=0.0))
    assert calibrated(writes, 3.0).settings == Settings("tiny", 0.0, 3.0)


def test_observed_are_regions_that_are_right_or_wrong(model: FO1, tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    region = model.look(picture(0)).regions.xyxy[:1]
    record = Record(ImageRef("a.png", root=tmp_path), region, labels=("cup",), meta={"absent": ["dog"]})
    (asked,) = quizzes([record], absent=2)
    assert asked.labels == ["cup", "dog"]
    for temperature in (1.0, 3.0):  # which the model has already does not matter
        seen = Observed()
        seen.add(calibrated(model, temperature), asked)
        assert sum(seen.right) >= 1 and not all(seen.right) and set(seen.image) == {1}
        scores = model.look(picture(0)).detect("cup, dog", threshold=0.0).confidence
        assert chances(np.array(seen.odds[:1]), 1.0) == pytest.approx(scores["cup"][:1], abs=1e-5)


def test_the_error_elsewhere_is_unknown_if_a_half_has_nothing_right() -> None:
    odds, right = [2.0, -1.0, 1.0, -2.0], [True, False, False, True]
    assert Observed(odds, right, [1, 1, 2, 2]).error_elsewhere() is not None
    for image in ([1, 1, 1, 1], [1, 2, 2, 1]):
        seen = Observed(odds, right, image)
        assert seen.temperature() > 0 and seen.error_elsewhere() is None

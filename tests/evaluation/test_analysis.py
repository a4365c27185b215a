from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.answers import grounded
from fo1.evaluation.analysis import BoxAnalysis
from fo1.evaluation.calibration import Calibration
from fo1.evaluation.grounded import Confidence
from fo1.evaluation.truth import BoxTruth

TRUTH = BoxTruth.by_label({"cat": [[0, 0, 10, 10], [20, 0, 70, 50]]}, absent=["dog"])
ANSWER = grounded(
    [[0, 0, 10, 10], [20, 0, 70, 50], [80, 0, 99, 9]],
    {"cat": [0.9, 0.3, 0.6], "dog": [0.1, 0.1, 0.7]},
    proposer=[0.5, 1.0, 0.1],
)


def test_errors_by_size_and_by_labels() -> None:
    analysis = BoxAnalysis()
    analysis.update(TRUTH, ANSWER)
    analysis.update(BoxTruth.by_label({"cow": [[0, 0, 100, 100]]}), None)
    sizes = {name: (e.things, e.hits, e.wrong) for name, e in analysis.by_size.items()}
    assert sizes == {"small": (1, 1, 2), "medium": (1, 0, 0), "large": (1, 0, 0)}
    labels = {name: (e.things, e.hits, e.wrong) for name, e in analysis.by_labels.items()}
    assert labels["2 to 5"] == (2, 1, 2) and labels["1"] == (1, 0, 0)
    assert labels["6 to 20"] == labels["21 or more"] == (0, 0, 0)
    assert analysis.by_labels["2 to 5"].to_json()["F1"] == pytest.approx(2 / 5)
    assert math.isnan(analysis.by_labels["6 to 20"].to_json()["F1"])


def test_curves_of_the_three_confidences() -> None:
    analysis = BoxAnalysis()
    analysis.update(TRUTH, ANSWER)
    recall, precision = analysis.curves[Confidence.own].points()
    # 0.9 right, 0.7 and 0.6 wrong, 0.3 right, the rest wrong
    assert recall[:4] == pytest.approx([0.5, 0.5, 0.5, 1.0])
    assert precision[:4] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2])
    recall, precision = analysis.curves[Confidence.product].points()
    assert recall[:2] == pytest.approx([0.5, 1.0]) and precision[:2] == pytest.approx([1, 1])
    recall, _ = analysis.curves[Confidence.proposer].points()
    assert recall.tolist() == [0.5, 0.5, 0.5], "only what the model names"


def test_expected_calibration_error_by_hand() -> None:
    scores, hits = [0.9, 0.9, 0.9, 0.9, 0.3, 0.3, 0.01], [True, True, True, False, True, False, False]
    found = Calibration.of(scores, hits)
    assert found.count.sum() == 6, "the least likely are left out"
    assert found.error == pytest.approx((4 * abs(0.9 - 0.75) + 2 * abs(0.3 - 0.5)) / 6)
    assert math.isnan(Calibration.of([], []).error)


def test_honest_scores_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 1, 20_000)
    honest = Calibration.of(scores, rng.random(len(scores)) < scores)
    assert honest.error < 0.02
    assert Calibration.of(scores**3, rng.random(len(scores)) < scores).error > 0.1

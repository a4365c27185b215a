"""COCO's and LVIS's AP: by hand, and against a second, literal implementation on random answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.answers import grounded, sample
from fo1.boxes import area, intersection, iou
from fo1.errors import Fo1Error
from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.truth import BoxTruth

pytest.importorskip("faster_coco_eval")

Pair = tuple[BoxTruth, Grounded]
LABELS = ("cat", "dog", "cow")
RANGES = {"": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


def measure(pairs: Sequence[Pair], **options: object) -> dict[str, float]:
    metric = AveragePrecision(**options)
    for truth, answer in pairs:
        metric.update(sample(truth), answer.to_json())
    return metric.compute()


def reference(pairs: Sequence[Pair], threshold: float, size: str) -> float:
    """AP at one IoU, straight from COCO's definition: one label, one image, one box after another."""
    low, high = RANGES[size]
    values = []
    for label in LABELS:
        scored: list[tuple[float, bool]] = []
        total = 0
        for truth, answer in pairs:
            rows = truth.rows(label)
            ignored = truth.crowd[rows] | (truth.areas[rows] < low) | (truth.areas[rows] > high)
            total += int((~ignored).sum())
            if label not in truth.labels:
                continue
            taken = set()
            boxes, scores = answer.boxes(label)
            for box, score in zip(boxes, scores, strict=True):
                best, fit = None, threshold
                # Things that count come first; only a crowd may be taken again.
                for wanted in (False, True):
                    for i in np.flatnonzero(ignored == wanted):
                        crowd = truth.crowd[rows[i]]
                        other = truth.xyxy[rows[i]]
                        shared = intersection(box, other)[0, 0]
                        overlap = shared / area(box)[0] if crowd else iou(box, other)[0, 0]
                        if (i not in taken or crowd) and overlap >= fit:
                            best, fit = i, overlap
                    if best is not None:
                        break
                if best is not None:
                    taken.add(best)
                    if not ignored[best]:
                        scored.append((float(score), True))
                elif low <= area(box)[0] <= high and label not in truth.partial:
                    scored.append((float(score), False))
        if total:
            values.append(interpolated(scored, total))
    return float(np.mean(values)) if values else float("nan")


def interpolated(scored: list[tuple[float, bool]], total: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or above."""
    hits = np.cumsum([hit for _, hit in sorted(scored, key=lambda pair: -pair[0])])
    recall, precision = hits / total, hits / (1 + np.arange(len(hits)))
    return float(np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)]))


def random_pair(rng: np.random.Generator, federated: bool) -> Pair:
    def boxes(count: int) -> np.ndarray:
        corner, side = rng.uniform(0, 60, (count, 2)), np.exp(rng.uniform(2, 5, (count, 2)))
        return np.concatenate([corner, corner + side], axis=1).round(1)

    count = int(rng.integers(0, 6))
    there, names = boxes(count), rng.choice(LABELS, count).tolist()
    judged = [label for label in LABELS if rng.random() < 0.5] if federated else LABELS
    partial = sorted({name for name in names if rng.random() < 0.3}) if federated else ()
    crowd = rng.random(count) < (0 if federated else 0.2)
    truth = BoxTruth.of(there, names, judged, crowd=crowd, partial=partial)
    near = there[rng.integers(0, count, 6)] + rng.normal(0, 3, (6, 4)) if count else np.zeros((0, 4))
    found = np.concatenate([near, boxes(4)]).round(1)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    return truth, grounded(found, {label: rng.random(len(found)).round(4) for label in LABELS})


@pytest.mark.parametrize("federated", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_definition(seed: int, federated: bool) -> None:
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng, federated) for _ in range(12)]
    found = measure(pairs)
    steps = np.linspace(0.5, 0.95, 10)
    assert found["AP50"] == pytest.approx(reference(pairs, 0.5, ""), abs=1e-6)
    assert found["AP75"] == pytest.approx(reference(pairs, 0.75, ""), abs=1e-6)
    for size, name in (("", "AP"), ("small", "AP small"), ("medium", "AP medium"), ("large", "AP large")):
        wanted = np.mean([reference(pairs, t, size) for t in steps])
        assert found[name] == pytest.approx(wanted, abs=1e-6, nan_ok=True), name


def test_by_hand() -> None:
    """Best box right, second wrong, third right: precision 1 up to recall ½, then ⅔."""
    truth = BoxTruth.by_label({"cat": [[0, 0, 50, 50], [100, 0, 150, 50]]})
    answer = grounded([[0, 0, 50, 50], [0, 60, 20, 90], [100, 0, 150, 50]], {"cat": [0.9, 0.8, 0.7]})
    found = measure([(truth, answer)])
    assert found["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert found["AP medium"] == 1, "the wrong box is small"
    assert np.isnan(found["AP small"]) and found["AR@100"] == 1


def test_a_failed_sample_misses_its_things() -> None:
    truth = BoxTruth.by_label({"cat": [[0, 0, 50, 50]]})
    right = grounded([[0, 0, 50, 50]], {"cat": [0.9]})
    metric = AveragePrecision()
    metric.update(sample(truth), right.to_json())
    assert metric.compute()["AR@100"] == 1
    metric.update(sample(truth), None)
    assert metric.compute()["AR@100"] == pytest.approx(0.5)
    assert metric.compute()["AP"] == pytest.approx(51 / 101)
    assert metric.score(sample(truth), None) == 0 and metric.score(sample(truth), right.to_json()) == 1
    metric.reset()
    assert np.isnan(metric.compute()["AP"])


def test_only_the_best_boxes_of_an_image_count_and_groups_are_means() -> None:
    truth = BoxTruth.by_label({"cat": [[0, 0, 50, 50]], "dog": [[100, 0, 150, 50]]})
    answer = grounded([[0, 0, 50, 50], [100, 0, 150, 50]], {"cat": [0.9, 0.1], "dog": [0.1, 0.8]})
    groups = {"cat": "r", "dog": "f"}
    assert measure([(truth, answer)], groups=groups, per_image=1) == pytest.approx(
        {"AP": 0.5, "AP50": 0.5, "AP75": 0.5, "AP small": np.nan, "AP medium": 0.5, "AP large": np.nan}
        | {"AR@1": 0.5, "AP f": 0.0, "AP r": 1.0},
        nan_ok=True,
    )


def test_nothing_found_scores_zero() -> None:
    truth = BoxTruth.by_label({"cat": [[0, 0, 50, 50]]})
    assert measure([(truth, grounded([], {"cat": []}))])["AP"] == 0


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    truth = BoxTruth.by_label({"cat": [[0, 0, 50, 50]]})
    with pytest.raises(Fo1Error, match=r"faster-coco-eval.*pip install 'fo1\[eval\]'"):
        measure([(truth, grounded([], {"cat": []}))])

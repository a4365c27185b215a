"""`Detections`: validation, selection, and the small file formats' round trips through its methods."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.errors import Fo1Error, RegionError

SIZE = (200, 100)
ROWS = (
    Detection("orange", (1.25, 2.5, 30.125, 40.0), 0.9, 3),
    Detection("苹果", (50.0, 10.0, 90.0, 60.0), 0.5, 0),
    Detection("orange", (100.0, 20.0, 140.0, 99.0), 0.25, 7),
)


@pytest.fixture
def found() -> Detections:
    return Detections.of(ROWS, SIZE)


def assert_equal(a: Detections, b: Detections, regions: bool = True) -> None:
    assert a.image_size == b.image_size
    assert a.labels == b.labels
    assert np.allclose(a.xyxy, b.xyxy, atol=0.01)
    assert np.allclose(a.scores, b.scores, atol=1e-4)
    if regions:
        assert a.regions.tolist() == b.regions.tolist()


def test_iteration_gives_back_the_records(found: Detections) -> None:
    assert len(found) == 3
    records = list(found)
    assert [(d.label, d.box, d.region) for d in records] == [(d.label, d.box, d.region) for d in ROWS]
    assert [d.score for d in records] == pytest.approx([0.9, 0.5, 0.25])
    assert all(type(v) is float for v in records[0].box)
    assert repr(found) == "Detections(2 orange, 1 苹果 on 200×100)"


def test_it_is_frozen_and_copied() -> None:
    boxes, regions = np.zeros((1, 4), dtype=np.float32), np.array([4])
    found = Detections(boxes, np.ones(1, dtype=np.float32), ("a",), regions, SIZE)
    boxes[:], regions[:] = 5, 5
    assert found.xyxy.tolist() == [[0, 0, 0, 0]] and found.regions.tolist() == [4]
    with pytest.raises(ValueError, match="read-only"):
        found.regions[0] = 1


def test_bad_values() -> None:
    with pytest.raises(RegionError, match="finite"):
        Detections.of([Detection("a", (0, 0, float("nan"), 1))], SIZE)
    with pytest.raises(RegionError, match="2 region numbers for 1"):
        Detections(np.zeros((1, 4)), np.ones(1), ("a",), np.zeros(2), SIZE)  # type: ignore[arg-type]
    with pytest.raises(RegionError, match="2 labels"):
        Detections(np.zeros((1, 4)), np.ones(1), ("a", "b"), np.zeros(1), SIZE)  # type: ignore[arg-type]


def test_selection(found: Detections) -> None:
    assert found.above(0.5).labels == ("orange", "苹果")
    assert found.above(0.9).regions.tolist() == [3]
    assert found.by_label("orange").regions.tolist() == [3, 7]
    assert len(found.by_label("pear")) == 0
    assert found.take([2, 0]).regions.tolist() == [7, 3]
    assert len(found) == 3


def test_dicts_are_exactly_what_the_command_line_writes(found: Detections) -> None:
    dicts = found.to_dicts()
    assert dicts[0] == {"label": "orange", "box": [1.25, 2.5, 30.12, 40.0], "score": 0.9, "region": 3}
    assert json.loads(json.dumps(dicts)) == dicts
    assert_equal(Detections.from_dicts(dicts, SIZE), found)
    assert Detections.from_dicts([{"label": "a", "box": [1, 2, 3, 4]}], SIZE).regions.tolist() == [-1]


def test_round_trips(found: Detections) -> None:
    for one in (found, Detections.empty(SIZE)):
        assert_equal(Detections.from_jsonl(one.to_jsonl(), SIZE), one)
        assert_equal(Detections.from_coco(json.loads(json.dumps(one.to_coco(5, "a.jpg")))), one)
        assert_equal(Detections.from_labelme(json.loads(json.dumps(one.to_labelme("a.jpg")))), one)
        names = ["苹果", "orange"]
        text = one.to_yolo(names, scores=True)
        assert_equal(Detections.from_yolo(text, names, SIZE), one, regions=False)


class _Supervision(SimpleNamespace):
    """As much of `supervision.Detections` as is used."""


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("supervision")
    module.Detections = _Supervision  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.mark.usefixtures("supervision")
def test_supervision_round_trip(found: Detections) -> None:
    theirs = found.to_supervision()
    assert theirs.class_id.tolist() == [0, 1, 0]
    assert theirs.data["class_name"].tolist() == list(found.labels)
    theirs.xyxy[:] += 0  # ours to change: a copy
    assert_equal(Detections.from_supervision(theirs, SIZE), found)
    assert len(Detections.from_supervision(Detections.empty(SIZE).to_supervision(), SIZE)) == 0


def test_supervision_without_names_scores_or_regions() -> None:
    bare = _Supervision(xyxy=np.ones((2, 4)), confidence=None, class_id=np.array([4, 1]), data={})
    found = Detections.from_supervision(bare, SIZE)  # type: ignore[arg-type]
    assert found.labels == ("4", "1")
    assert found.scores.tolist() == [1, 1] and found.regions.tolist() == [-1, -1]


def test_supervision_missing(found: Detections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(Fo1Error, match="pip install supervision"):
        found.to_supervision()

"""Numbers stay with things, through crossings, misses and other labels."""

from __future__ import annotations

from fo1.detection import Detection
from fo1.tracking import Tracker, rows, to_mot


def at(x: float, label: str = "cat", y: float = 0) -> Detection:
    return Detection(label, (x, y, x + 20, y + 20), 0.9, 0)


def test_numbers_stay_whatever_the_order() -> None:
    tracker = Tracker()
    assert tracker.update([at(0), at(50)]) == [1, 2]
    assert tracker.update([at(54), at(4)]) == [2, 1]
    assert tracker.update([at(8), at(100), at(58)]) == [1, 3, 2]


def test_the_best_pairs_come_first() -> None:
    tracker = Tracker()
    tracker.update([at(0), at(10)])
    assert tracker.update([at(9), at(-8)]) == [2, 1]


def test_a_missed_frame_and_a_fast_thing() -> None:
    tracker = Tracker()
    for step in range(4):
        assert tracker.update([at(12 * step)]) == [1]
    assert tracker.update([]) == []
    assert tracker.update([]) == []
    # It stood at 36, so without its velocity there would be no overlap at all.
    assert tracker.update([at(12 * 6)]) == [1]


def test_another_label_is_another_thing() -> None:
    tracker = Tracker()
    tracker.update([at(0)])
    assert tracker.update([at(0, "dog"), at(1)]) == [2, 1]


def test_patience_ends() -> None:
    for missed, expected in ((2, 1), (3, 2)):
        tracker = Tracker(patience=2)
        tracker.update([at(0)])
        for _ in range(missed):
            tracker.update([])
        assert tracker.update([at(0)]) == [expected]


def test_crossing_things_keep_their_numbers() -> None:
    tracker = Tracker()
    for step in range(21):
        ids = tracker.update([at(8 * step, y=0), at(160 - 8 * step, y=6)])
        assert ids == [1, 2], step


def test_what_is_written() -> None:
    (row,) = rows(4, [at(10.123)], [7])
    assert row == {"frame": 4, "id": 7, "label": "cat", "box": [10.12, 0.0, 30.12, 20.0], "score": 0.9}
    assert to_mot(row) == "5,7,10.12,0,20,20,0.9,-1,-1,-1"

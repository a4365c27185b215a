from __future__ import annotations

import numpy as np
import pytest

from fo1.proposals.proposer import Selection
from fo1.types import Regions

BOXES = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 5], [40, 40, 44, 44]]
SCORES = [0.5, 0.9, 0.3, 0.8, 0.05]


def kept(selection: Selection) -> list[int]:
    regions = Regions.of(BOXES, (50, 50), SCORES, labels=[str(i) for i in range(5)])
    found = selection(regions)
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.image_size == (50, 50) and found.labels is not None
    for i, box in zip(found.labels, found.xyxy, strict=True):
        assert box.tolist() == BOXES[int(i)]
    return [int(i) for i in found.labels]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [1, 3, 0, 2, 4]),
        (Selection(min_score=0.3), [1, 3, 0, 2]),  # 0.3 in float32 too
        (Selection(iou=0.8), [1, 3, 2, 4]),
        (Selection(iou=0.5), [1, 2, 4]),
        (Selection(top_k=2), [1, 3]),
        (Selection(min_score=0.1, iou=0.5, top_k=1), [1]),
        (Selection(min_score=1.0), []),
    ],
)
def test_score_then_suppression_then_the_best(selection: Selection, expected: list[int]) -> None:
    assert kept(selection) == expected


def test_nothing_in_nothing_out() -> None:
    assert len(Selection(iou=0.5)(Regions.empty((50, 50)))) == 0


def test_equal_scores_keep_their_order() -> None:
    regions = Regions.of(BOXES, (50, 50))
    assert np.array_equal(Selection()(regions).xyxy, regions.xyxy)

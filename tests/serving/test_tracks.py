"""`/v1/track`: numbers for the boxes of a video's frames."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from fo1.serving.limits import Limits
from fo1.serving.problems import Problem
from fo1.serving.tracks import BOXES, Tracking, follow


def seen(x: float, label: str = "cat") -> dict[str, object]:
    return {"label": label, "box": [x, 0, x + 20, 20]}


def test_numbers_in_the_order_of_the_boxes(client: TestClient) -> None:
    frames = [[seen(0), seen(60)], [], [seen(64), seen(4), seen(4, "dog")]]
    assert client.post("/v1/track", json={"frames": frames}).json() == {"ids": [[1, 2], [], [2, 1, 3]]}
    impatient = client.post("/v1/track", json={"frames": frames, "patience": 0}).json()
    assert impatient == {"ids": [[1, 2], [], [3, 4, 5]]}


def test_too_much_is_refused(client: TestClient) -> None:
    for frames in ([[seen(0)] * 21], [[{"label": "a", "box": [0, 0, 1]}]], [[seen(1e9)]], "none"):
        answer = client.post("/v1/track", json={"frames": frames})
        assert answer.status_code in (400, 422) and answer.json()["error"]["message"]


def test_boxes_in_all() -> None:
    frame = [seen(0)] * 500
    with pytest.raises(Problem, match="raise the least score"):
        follow(Tracking.model_validate({"frames": [frame] * (BOXES // 500 + 1)}), Limits())

"""What a client is told is what the library says."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fo1 import FO1
from fo1.labeling import judge
from fo1.records import described
from fo1.serving.app import make_app
from fo1.serving.local import LocalEngine
from fo1.serving.questions import ON_SCENES
from fo1.settings import Settings
from serving.pictures import data_url, png
from tiny import StubProposer, region_model
from written import reader, sheet

ASKED: dict[str, dict[str, Any]] = {
    "detect": {"labels": ["a", "b"], "threshold": 0.3},
    "find": {"phrase": "the left one"},
    "count": {"label": "a", "threshold": 0.2},
    "describe": {"region": 1, "max_tokens": 4},
    "read": {"region": 2, "max_tokens": 4},
    "ask": {"question": "What is <region1>?", "max_tokens": 4},
    "name": {"region": 1, "among": "cat, dog"},
}


def expected(model: FO1, verb: str) -> dict[str, Any]:
    scene = model.look(png())
    if verb in ("detect", "find", "count"):
        found = {
            "detect": lambda: scene.detect(["a", "b"], 0.3),
            "find": lambda: scene.find("the left one"),
            "count": lambda: scene.locate("a", 0.2),
        }[verb]()
        return ({"count": len(found)} if verb == "count" else {}) | described(found)
    if verb == "name":
        names = scene.names(1, "cat, dog")
        return {"names": [{"name": name, "chance": round(chance, 4)} for name, chance in names]}
    question = {
        "describe": "Provide a brief description for <region1>.",
        "read": "Please provide the ocr results of <region2> in the image.",
        "ask": "What is <region1>?",
    }[verb]
    return {"text": scene.ask(question, 4)}


@pytest.mark.parametrize("verb", ON_SCENES)
def test_with_an_image_and_of_a_scene(client: TestClient, tiny_fo1: FO1, verb: str) -> None:
    answer = client.post(f"/v1/{verb}", json={"image": data_url(), **ASKED[verb]})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert {"image", "encode", "answer", "wait"} == set(said.pop("seconds"))
    head = {"image": "data URL", "size": [80, 60], "model": "tiny"}
    assert said == head | expected(tiny_fo1, verb)
    id = client.post("/v1/scenes", json={"image": data_url()}).json()["id"]
    again = client.post(f"/v1/scenes/{id}/{verb}", json=ASKED[verb]).json()
    assert set(again.pop("seconds")) == {"answer", "wait"}  # nothing is encoded twice
    assert again == said


def test_every_line_of_text_and_the_task_in_a_chat() -> None:
    model = region_model(proposer=StubProposer([(0, 0, 1, 1)]))
    model.reader = reader()
    page, boxes = sheet([((20, 20), "Open"), ((20, 120), "Closed")])
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    url = data_url(buffer.getvalue())
    asked = "Please provide the ocr results of <region0> in the image."
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": asked}]
    with TestClient(make_app(LocalEngine(FO1(model, Settings("reads"))))) as client:
        said = client.post("/v1/read", json={"image": url, "region": None}).json()
        assert said["text"] == "Open Closed" and [line["region"] for line in said["lines"]] == [-1, -1]
        one = client.post("/v1/read", json={"image": url, "boxes": boxes, "region": 1}).json()
        assert one["text"] == "Closed" and "lines" not in one
        for stream in (False, True):
            chat = {"model": "reads", "messages": [{"role": "user", "content": parts}], "stream": stream}
            answer = client.post("/v1/chat/completions", json=chat)
            assert answer.status_code == 200 and "Open Closed" in answer.text


def test_finding_text_needs_a_reader(client: TestClient) -> None:
    answer = client.post("/v1/read", json={"image": data_url(), "region": None})
    assert answer.status_code == 400 and "give boxes" in answer.json()["error"]["message"]


def test_an_upload(client: TestClient, tiny_fo1: FO1) -> None:
    boxes = [[1, 2, 30, 40], [5, 5, 70, 50]]
    form = {"labels": "a, b", "boxes": json.dumps(boxes), "threshold": "0"}
    answer = client.post("/v1/detect", files={"image": ("my cat.png", png())}, data=form)
    found = tiny_fo1.look(png(), boxes).detect("a, b", 0)
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == "my cat.png"
    assert answer.json()["detections"] == found.to_dicts()


def test_judging(client: TestClient, tiny_fo1: FO1) -> None:
    boxes, labels = [[1, 2, 30, 40], [5, 5, 70, 50]], ["cat", "dog"]
    asked = {"image": data_url(), "boxes": boxes, "labels": labels, "classes": ["hen"]}
    said = client.post("/v1/judge", json=asked).json()["verdicts"]
    known = judge(tiny_fo1, png(), boxes, labels, ["hen"])
    assert [(one["label"], one["decision"], one["confidence"]) for one in said] == [
        (one.label, one.decision.value, one.confidence) for one in known
    ]
    spaced = client.post("/v1/judge", json={**asked, "labels": [" cat", "dog "]}).json()["verdicts"]
    assert [(one["label"], one["confidence"]) for one in spaced] == [
        (label, one.confidence) for label, one in zip([" cat", "dog "], known, strict=True)
    ]
    wrong = client.post("/v1/judge", json={**asked, "labels": ["cat"]})
    assert wrong.status_code == 400 and "1 labels for 2 boxes" in wrong.json()["error"]["message"]
    assert client.post("/v1/judge", json={"image": data_url(), "labels": ["cat"]}).status_code == 400


def test_scenes_come_and_go(client: TestClient) -> None:
    posted = client.post("/v1/scenes", files={"image": ("a.png", png())}, data={"top_k": "2"}).json()
    assert [one["region"] for one in posted["regions"]] == [0, 1]
    assert posted["image"] == "a.png" and posted["expires_in"] > 0
    path = f"/v1/scenes/{posted['id']}"
    assert client.post(f"{path}/describe", json={"region": 2}).status_code == 400
    assert client.delete(path).status_code == 204
    gone = client.post(f"{path}/detect", json={"labels": "a"})
    assert gone.status_code == 404 and "post the image again" in gone.json()["error"]["message"]


def test_health_metrics_and_page(client: TestClient) -> None:
    client.post("/v1/detect", json={"image": data_url(), "labels": "a"})
    client.get("/anything")
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    numbers = client.get("/metrics").text
    assert 'fo1_requests_total{path="/v1/detect",status="200"}' in numbers
    assert 'fo1_requests_total{path="other",status="404"}' in numbers
    assert "fo1_batch_size_count" in numbers and "anything" not in numbers
    page = client.get("/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for far in ("http://", "https://", "src=", "@import", "url("):
        assert far not in page.text  # it works without a network


def test_a_bug_is_told_without_its_insides(tiny_fo1: FO1, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*rest: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(LocalEngine, "submit", broken)
    with TestClient(make_app(LocalEngine(tiny_fo1)), raise_server_exceptions=False) as client:
        answer = client.post("/v1/detect", json={"image": data_url(), "labels": "a"})
        assert answer.status_code == 500 and answer.json()["error"]["type"] == "server_error"
        assert "secret" not in answer.text
        assert 'fo1_requests_total{path="/v1/detect",status="500"} 1.0' in client.get("/metrics").text

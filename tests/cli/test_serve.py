"""`fo1 serve`: what is put together, and what is said before it listens."""

from __future__ import annotations

from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from cli.fakes import Run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keeps uvicorn from listening; what it would have served collects in the list."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **rest: calls.append({"app": app, **rest}))
    return calls


def test_this_machine_only_unless_asked(run: Run, served: list[dict[str, Any]]) -> None:
    result = run("serve", "--port", "8123")
    assert result.exit_code == 0 and result.stderr == ""
    (call,) = served
    assert (call["host"], call["port"]) == ("127.0.0.1", 8123)
    with TestClient(call["app"], base_url="http://127.0.0.1:8123") as client:
        assert client.get("/v1/models").json()["data"][0]["id"] == "fake"
        assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 421
        refused = client.post("/v1/detect", json={"image": "http://example.org/x.png", "labels": "a"})
        assert "fetches no web addresses" in refused.json()["error"]["message"]


def test_a_key_for_others(run: Run, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "anybody who reaches 0.0.0.0" in run("serve", "--host", "0.0.0.0").stderr
    monkeypatch.setenv("FO1_API_KEY", "secret")
    assert run("serve", "--host", "0.0.0.0", "--max-body", "0.001").stderr == ""
    with TestClient(served[-1]["app"]) as client:
        assert client.get("/v1/models").status_code == 401
        known = {"Authorization": "Bearer secret"}
        assert client.get("/v1/models", headers=known).status_code == 200
        assert client.post("/v1/detect", content=b"x" * 2000, headers=known).status_code == 413


def test_nothing_works_without_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fo1.cli.common.find_spec", lambda name: None)
    result = run("serve")
    assert result.exit_code == 2 and "pip install 'fo1[serve]'" in result.stderr

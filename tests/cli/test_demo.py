"""`fo1 demo`: a page of this machine only, on a free port."""

from __future__ import annotations

import socket
import webbrowser
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from cli.fakes import Run


def test_the_page_opens(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    pages: list[str] = []

    def serve(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        assert sockets[0].getsockname()[0] == "127.0.0.1"
        app: Any = server.config.app
        with TestClient(app, base_url=opened[0]) as client:
            pages.append(client.get("/").text)
            assert client.get("/", headers={"host": "evil.example"}).status_code == 421

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(uvicorn.Server, "run", serve)
    result = run("demo")
    assert result.exit_code == 0 and result.stdout.strip() == opened[0]
    assert "<title>fo1</title>" in pages[0] and "/* " + "page.js" not in pages[0]
    assert '"cows.jpg", "words": "cow", "image": "data:image/jpeg;base64,' in pages[0]


def test_a_taken_port(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("demo", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 2 and "leave --port out" in result.stderr

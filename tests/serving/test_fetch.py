"""Web addresses: nothing of the server's own network is reached."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fo1.errors import ImageError
from fo1.serving.fetch import Fetcher, is_public
from serving.pictures import png


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802
        path = self.path.split("?")[0]
        if path == "/cat.png":
            self.answer(200, png(), {})
        elif path == "/loop":
            self.answer(302, b"", {"Location": "/loop"})
        elif path == "/moved":
            self.answer(301, b"", {"Location": "/cat.png"})
        elif path == "/inside":
            self.answer(302, b"", {"Location": "http://10.0.0.1/secret"})
        elif path == "/file":
            self.answer(302, b"", {"Location": "file:///etc/passwd"})
        elif path == "/large":
            self.answer(200, b"x" * 5000, {})
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b"x")
                time.sleep(0.02)
        else:
            self.answer(404, b"", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *rest: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.handle_error = lambda *rest: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def here(address: str) -> bool:
    return address == "127.0.0.1" or is_public(address)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x",
        "http://localhost/x",
        "http://[::1]/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://127.1/x",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_own_addresses_in_any_spelling(url: str) -> None:
    with pytest.raises(ImageError, match="no public address|not known"):
        Fetcher(1000, 1.0).fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "http:///x",
        "http://user:password@example.org/x",
        "http://example.org:99999/x",
        "http://[::1/x",
        "http://example.org/\r\nHost: inside",
        "http://ex\u00e4mple.org/x",
        "http://" + "a" * 300 + "/x",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ImageError):
        Fetcher(1000, 1.0).fetch(url)


def test_an_image_and_a_redirect_to_it(site: str) -> None:
    fetcher = Fetcher(100_000, 5.0, here)
    assert fetcher.fetch(f"{site}/cat.png") == png() == fetcher.fetch(f"{site}/moved?x=1")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("inside", "no public address"),
        ("file", "must be http"),
        ("loop", "leads on and on"),
        ("large", "larger than"),
        ("slow", "takes too long"),
        ("nothing", "answers 404"),
    ],
)
def test_what_a_site_may_not_do(site: str, path: str, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        Fetcher(4000, 0.3, here).fetch(f"{site}/{path}")


def test_a_name_is_resolved_once_and_that_number_is_called(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebinding name: public when it is checked, private ever after."""
    resolved, called = [], []

    def resolve(host: str, port: int, **rest: Any) -> list[Any]:
        resolved.append(host)
        address = "93.184.216.34" if len(resolved) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        called.append(address[0])
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ImageError, match="cannot be reached"):
        Fetcher(1000, 1.0).fetch("http://rebinding.example/x")
    assert resolved == ["rebinding.example"] and called == ["93.184.216.34"]


def test_one_private_number_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *rest, **more: both)
    with pytest.raises(ImageError, match="no public address"):
        Fetcher(1000, 1.0).fetch("http://two.example/x")

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from fo1.errors import RegionError
from fo1.proposals.proposer import Selection
from fo1.proposals.remote import RemoteProposer
from tiny import picture


class Handler(BaseHTTPRequestHandler):
    """Says where the image's brightest corner is; other paths misbehave."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        image = Image.open(io.BytesIO(body), formats=["PNG"])
        answers = {
            "/boxes": {
                "boxes": [[0, 0, *image.size], [1, 2, 3, 4]],
                "scores": [0.2, 0.7],
                "labels": ["a", "b"],
            },
            "/plain": {"boxes": [np.asarray(image)[0, 0].tolist() + [9]]},
            "/none": {"boxes": []},
            "/shape": {"boxes": [[1, 2, 3]]},
            "/empty": {},
            "/list": [],
        }
        if self.path == "/slow":
            time.sleep(1)
        if self.path == "/down":
            self.send_error(503)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>" if self.path == "/html" else json.dumps(answers.get(self.path)).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_boxes_scores_and_labels(server: str) -> None:
    images = [picture(0), picture(1, (30, 90))]
    found = RemoteProposer(f"{server}/boxes").propose(images)
    assert [one.xyxy.tolist() for one in found] == [
        [[1, 2, 3, 4], [0, 0, 80, 60]],
        [[1, 2, 3, 4], [0, 0, 30, 90]],
    ]
    assert found[0].labels == ("b", "a") and found[0].scores.tolist() == pytest.approx([0.7, 0.2])


def test_pixels_arrive_as_they_are_and_scores_may_be_missing(server: str) -> None:
    (found,) = RemoteProposer(f"{server}/plain").propose([picture(3)])
    assert found.xyxy.tolist() == [[*np.asarray(picture(3))[0, 0].tolist(), 9]]
    assert (found.scores.tolist(), found.labels) == ([1], None)
    assert len(RemoteProposer(f"{server}/none").propose([picture(0)])[0]) == 0


def test_the_shared_selection_applies(server: str) -> None:
    (found,) = RemoteProposer(f"{server}/boxes", Selection(min_score=0.5)).propose([picture(0)])
    assert len(found) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/down", "gives no proposals.*503"),
        ("/html", "does not answer in JSON"),
        ("/shape", "must have shape"),
        ("/empty", "must answer.*KeyError"),
        ("/list", "must answer"),
        ("/nothing", "must answer"),
    ],
)
def test_errors_name_the_address(server: str, path: str, message: str) -> None:
    with pytest.raises(RegionError, match=message) as caught:
        RemoteProposer(server + path).propose([picture(0)])
    assert server + path in str(caught.value)


def test_a_server_that_is_slow_or_not_there(server: str) -> None:
    with pytest.raises(RegionError, match="gives no proposals.*timed out"):
        RemoteProposer(f"{server}/slow", timeout=0.2).propose([picture(0)])
    with pytest.raises(RegionError, match="http://127.0.0.1:9/x gives no proposals"):
        RemoteProposer("http://127.0.0.1:9/x").propose([picture(0)])
    with pytest.raises(RegionError, match="must begin with http"):
        RemoteProposer("ftp://127.0.0.1")

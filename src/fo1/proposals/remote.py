"""Proposals over HTTP, from a detector that runs elsewhere.

Each image is sent as a POST with a PNG as its body (`Content-Type: image/png`); the answer is JSON with boxes
in xyxy pixels of that PNG. `scores` (1 by default) and `labels` may be left out:

    {"boxes": [[12, 5, 90, 80.5]], "scores": [0.9], "labels": ["cup"]}
"""

from __future__ import annotations

import http.client
import io
import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from PIL import Image

from fo1.errors import RegionError
from fo1.proposals.proposer import Selection
from fo1.types import Regions

LARGEST = 64 << 20  # bytes of an answer


class RemoteProposer:
    """A `Proposer` that asks a server, one image at a time.

    url: http or https. timeout: seconds without an answer. selection: by default the best hundred.
    """

    def __init__(self, url: str, selection: Selection | None = None, timeout: float = 60.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise RegionError(f"{url!r} is no address of a proposer; it must begin with http:// or https://")
        self.url, self.timeout = url, timeout
        self.selection = Selection() if selection is None else selection

    @property
    def key(self) -> str:
        """Tells apart servers in a cache; what runs there, only its address can say."""
        return f"{self.url} {self.selection}"

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        """Selected boxes of each image. Raises `RegionError` naming the URL if it does not give any."""
        return [self.selection(self._ask(image)) for image in images]

    def _ask(self, image: Image.Image) -> Regions:
        body = io.BytesIO()
        image.save(body, "PNG", compress_level=1)
        request = urllib.request.Request(
            self.url, body.getvalue(), {"Content-Type": "image/png", "User-Agent": "fo1"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                said: Any = json.loads(answer.read(LARGEST))
        except (OSError, http.client.HTTPException) as error:
            raise RegionError(f"{self.url} gives no proposals ({error}); is the server up?") from error
        except (ValueError, RecursionError) as error:
            raise RegionError(f"{self.url} does not answer in JSON: {error}") from error
        try:
            return Regions.of(said["boxes"], image.size, said.get("scores"), said.get("labels"))
        except (KeyError, TypeError, AttributeError, RegionError) as error:
            raise RegionError(
                f'{self.url} must answer {{"boxes": [[x1, y1, x2, y2], …]}}: {error!r}'
            ) from error

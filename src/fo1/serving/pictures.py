"""`Pictures`: what a request calls an image → an upright image in memory, decoded off the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from PIL import Image

from fo1.images import load_image
from fo1.serving.fetch import Fetcher
from fo1.serving.limits import Limits, Share
from fo1.serving.problems import Problem

WHAT = "an image is a data URL (data:image/jpeg;base64,…) or an upload"


class Pictures:
    """Reads images. fetcher: None if web addresses are refused."""

    def __init__(self, limits: Limits, fetcher: Fetcher | None = None) -> None:
        self._limits, self._fetcher = limits, fetcher
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="fo1-images")

    async def read(self, source: str | bytes, share: Share) -> Image.Image:
        """The image in a data URL, a web address or a file's bytes; `share` pays for its pixels.

        Raises `ImageError`, and `Problem` for what is none of these.
        """
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(self._threads, partial(self._load, source))
        share.take(3 * image.width * image.height)
        return image

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown()

    def _load(self, source: str | bytes) -> Image.Image:
        if isinstance(source, str):
            start = source[:8].lower()
            if start.startswith(("http://", "https://")):
                if self._fetcher is None:
                    raise Problem(400, f"this server fetches no web addresses; {WHAT}", "urls_refused")
                source = self._fetcher.fetch(source)
            elif not start.startswith("data:"):  # above all no path of this machine
                raise Problem(400, f"{source[:60]!r} is no image; {WHAT}", "no_image")
        return load_image(source, max_pixels=self._limits.pixels)

"""Images as clients send them."""

from __future__ import annotations

import base64
import io

from tiny import picture


def png(seed: int = 0, size: tuple[int, int] = (80, 60), form: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture(seed, size).save(file, form)
    return file.getvalue()


def data_url(data: bytes | None = None) -> str:
    return "data:image/png;base64," + base64.b64encode(png() if data is None else data).decode()

"""Invented data sets in the real layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fo1.data.convert.problems import Problems

Photo = Callable[..., Path]
Write = Callable[[str, Any], Path]


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """Makes images of 100×80 under the folder of the test."""

    def make(*names: str, size: tuple[int, int] = (100, 80)) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, "white").save(path)
        return tmp_path

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file under the folder of the test: text as it is, bytes too, anything else as JSON."""

    def make(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return make


@pytest.fixture
def problems() -> Problems:
    return Problems()

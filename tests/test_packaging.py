"""What `pip install` brings: every file the package reads, not only its modules."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "fo1"


def test_every_file_beside_the_modules_is_package_data() -> None:
    # By hand: tomllib came with Python 3.11.
    (listed,) = re.findall(
        r"^fo1 = (\[.*?\])$", (PACKAGE.parent.parent / "pyproject.toml").read_text(), re.M | re.S
    )
    shipped = {path for pattern in re.findall(r'"([^"]+)"', listed) for path in PACKAGE.glob(pattern)}
    here = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in here if path.suffix != ".py"} <= shipped

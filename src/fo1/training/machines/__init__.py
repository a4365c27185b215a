"""Settings for `accelerate launch`, a file for each kind of machine; its first line says for which."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def settings() -> dict[str, Path]:
    """Files by name."""
    folder = Path(str(resources.files(__name__)))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}

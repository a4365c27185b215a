"""The models that travel with the package: where they are, and what their files are called."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PLUGIN = "plugin.safetensors"
LOW_RANK = "base."  # begins the keys of the base's low-rank update among the plug-in's


def bundled() -> dict[str, Path]:
    """Models that travel with the package, by name."""
    root = Path(str(resources.files("fo1") / "bundled"))
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / "config.json").is_file()}

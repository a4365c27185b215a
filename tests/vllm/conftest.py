"""Engines of tiny models, in this process; each is made once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fo1
from fo1 import FO1

if TYPE_CHECKING:
    from fo1.vllm import Engine

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


@pytest.fixture(scope="session", params=["native", "released", "qwen3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in each format that vLLM can run."""
    import vllm_models

    write = {
        "native": vllm_models.write_native,
        "released": vllm_models.write_released,
        "qwen3": vllm_models.write_qwen3,
    }[request.param]
    return write(tmp_path_factory.mktemp("vllm") / request.param)


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in our own format."""
    import vllm_models

    return vllm_models.write_native(tmp_path_factory.mktemp("vllm") / "native")


@pytest.fixture(scope="session")
def native_core(native: Path) -> FO1:
    """That model as the core runs it."""
    return fo1.load(native, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def core(folder: Path) -> FO1:
    """The model as the core runs it."""
    return fo1.load(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def engine(folder: Path) -> Iterator[Engine]:
    """The same in vLLM."""
    from fo1.vllm import Engine

    options = {"max_model_len": 1024, "max_num_seqs": 64, "max_logprobs": -1}
    yield Engine(folder, dtype="float32", enforce_eager=True, **options)

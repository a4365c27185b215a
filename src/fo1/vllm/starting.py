"""`start`: a model in vLLM, offline or in a server, and how it is asked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from fo1.errors import Fo1Error
from fo1.loading import model_folder
from fo1.vllm.asking import Asking
from fo1.vllm.exported import Exported, export, is_exported
from fo1.vllm.plugin import register

OPTIONS = {
    "structured_outputs_config": {"backend": "guidance"},  # it knows tokens by their ids
    "logprobs_mode": "processed_logprobs",
    "generation_config": "vllm",
}
"""Of vLLM, where a caller does not say otherwise."""

Core = TypeVar("Core")


def start(
    model: str | Path, make: Callable[..., Core], options: Mapping[str, Any]
) -> tuple[Core, Asking, object]:
    """vLLM's engine, how it is asked, and what must live as long: a folder of links, if one was needed.

    model: a folder that `export` made, or any folder or hub id that it can export. make: of an engine, from a
    folder and arguments. Raises `CheckpointError` for a model that vLLM cannot run, and `Fo1Error`.
    """
    register()
    folder, links = model_folder(model), None
    if not is_exported(folder):
        links = tempfile.TemporaryDirectory(prefix="fo1-vllm-")
        folder = export(folder, Path(links.name) / "model")
    with refusals():
        llm: Any = make(str(folder), **{**OPTIONS, **options})
    config = llm.model_config.hf_config
    return llm, Asking(Exported.of(config), config, llm.get_tokenizer()), links


@contextmanager
def refusals() -> Iterator[None]:
    """What vLLM says of arguments that it cannot start with, in one line. Raises `Fo1Error`."""
    try:
        yield
    except Fo1Error:
        raise
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
        raise Fo1Error(f"vLLM: {said.splitlines()[0]}") from error
    except (ValueError, TypeError, AssertionError, RuntimeError, OSError) as error:
        said = str(error).strip() or type(error).__name__
        raise Fo1Error(f"vLLM: {said.splitlines()[0]}") from error

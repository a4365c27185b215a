"""`parse_options`: arguments of vLLM, as a command line writes them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from fo1.errors import Fo1Error
from fo1.loading import INT8

FORM = "vllm[?tensor_parallel_size=2&gpu_memory_utilization=0.8&…]"


def parse_options(written: str, dtype: str | None = None) -> dict[str, Any]:
    """From "vllm?tensor_parallel_size=2": JSON values, others are words. dtype: if none is written.

    Raises `Fo1Error` for what is not so written, for arguments that vLLM does not have, and without vLLM.
    """
    name, _, query = written.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise Fo1Error(f"--engine {written}: {error}; it is {FORM}") from error
    if name != "vllm":
        raise Fo1Error(f"--engine {written}: it is {FORM}")
    unknown = {key for key, _ in pairs} - _known()
    if unknown:
        raise Fo1Error(f"--engine {written}: vLLM knows no {min(unknown)}; see vllm serve --help=all")
    given = {} if dtype is None else {"dtype": dtype}
    given |= {key: _value(text) for key, text in pairs}
    if given.get("dtype") == INT8:
        raise Fo1Error("vLLM has no int8 of ours; say --dtype bfloat16, float16 or float32")
    return given


def _known() -> set[str]:
    try:
        from vllm import EngineArgs
    except ImportError as error:
        raise Fo1Error(f"this needs vLLM ({error}); see docs/scale.md for how to install it") from error
    return set(EngineArgs.__dataclass_fields__) - {"model", "tokenizer"}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

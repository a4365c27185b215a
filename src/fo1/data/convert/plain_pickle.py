"""Pickles of plain data, without what makes pickles dangerous: they cannot name anything to be called."""

from __future__ import annotations

import builtins
import io
import pickle
import struct
from pathlib import Path
from typing import Any

from fo1.data.record import RecordError

_PLAIN = frozenset({"dict", "float", "frozenset", "int", "list", "set", "str", "tuple"})
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(ImportError, OverflowError, MemoryError, RecursionError, struct.error),
)


class _PlainUnpickler(pickle.Unpickler):
    """Admits containers, text and numbers only."""

    def find_class(self, module: str, name: str) -> Any:
        # Python 2 called builtins __builtin__; `set` and its like are named even in plain data.
        if module in ("builtins", "__builtin__") and name in _PLAIN:
            return getattr(builtins, name)
        raise RecordError(
            f"wants to load {module}.{name}, which plain data never needs; do not open this file"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise RecordError("refers to objects outside the file, which plain data never does")


def read_pickle(path: Path, what: str) -> Any:
    """What a pickle of dicts, lists, sets, tuples, strings and numbers holds; nothing in it is ever run.

    what: what was expected there. Raises `RecordError` for anything else, and for damaged files.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}); expected {what}") from error
    try:
        # RefCOCO's pickles come from Python 2, whose strings are bytes.
        return _PlainUnpickler(io.BytesIO(data), encoding="utf-8", errors="replace").load()
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise RecordError(f"{path}: is damaged or cut off ({error}); expected {what}") from error

"""Region models in vLLM: a plug-in for its engine, and two classes that ask it offline.

`Engine` is for models whose base sees and which write what they mean; `Scorer` for the bundled ones.

vLLM is imported only below this package, and only when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fo1.vllm.engine import Engine
    from fo1.vllm.exported import export
    from fo1.vllm.scorer import Scorer

__all__ = ["Engine", "Scorer", "export"]

_HOMES = {"Engine": "fo1.vllm.engine", "Scorer": "fo1.vllm.scorer", "export": "fo1.vllm.exported"}


def __getattr__(name: str) -> Any:
    """Imported at first use, for most bring in vLLM."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fo1.vllm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

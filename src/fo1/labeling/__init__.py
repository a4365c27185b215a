"""Labels for whole folders of images, and judgements on labels that others made."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fo1.labeling.judging import judge
    from fo1.labeling.verdicts import Decision, Limits, Verdict

__all__ = ["Decision", "Limits", "Verdict", "judge"]


def __getattr__(name: str) -> Any:
    """Imported at first use, so that `fo1 --help` need not wait for numpy."""
    if name not in __all__:
        raise AttributeError(f"module 'fo1.labeling' has no attribute {name!r}")
    home = "judging" if name == "judge" else "verdicts"
    value = globals()[name] = getattr(import_module(f"fo1.labeling.{home}"), name)
    return value

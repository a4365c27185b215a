"""fo1: give any vision-language model the ability to point (VLM-FO1, arXiv 2509.25916)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fo1.garbage import uncollected

if TYPE_CHECKING:
    from fo1.attaching import attach
    from fo1.checkpoints.attached_config import AuxiliaryConfig, RegionsConfig
    from fo1.detection import Detection
    from fo1.detections import Detections
    from fo1.errors import CheckpointError, Fo1Error, ImageError, PromptError, RegionError, SceneError
    from fo1.findings import Findings
    from fo1.loading import load, load_proposer
    from fo1.messages import Message
    from fo1.pipeline import FO1
    from fo1.regions.encoder import FusionConfig
    from fo1.saving import save
    from fo1.scene import Scene
    from fo1.types import Regions

__all__ = [
    "FO1",
    "AuxiliaryConfig",
    "CheckpointError",
    "Detection",
    "Detections",
    "Findings",
    "Fo1Error",
    "FusionConfig",
    "ImageError",
    "Message",
    "PromptError",
    "RegionError",
    "Regions",
    "RegionsConfig",
    "Scene",
    "SceneError",
    "attach",
    "load",
    "load_proposer",
    "save",
]

_HOMES = {
    "fo1.attaching": ("attach",),
    "fo1.checkpoints.attached_config": ("AuxiliaryConfig", "RegionsConfig"),
    "fo1.detection": ("Detection",),
    "fo1.detections": ("Detections",),
    "fo1.errors": ("CheckpointError", "Fo1Error", "ImageError", "PromptError", "RegionError", "SceneError"),
    "fo1.findings": ("Findings",),
    "fo1.loading": ("load", "load_proposer"),
    "fo1.messages": ("Message",),
    "fo1.pipeline": ("FO1",),
    "fo1.regions.encoder": ("FusionConfig",),
    "fo1.saving": ("save",),
    "fo1.scene": ("Scene",),
    "fo1.types": ("Regions",),
}


def __getattr__(name: str) -> Any:
    """Public names are imported at first use, so that `fo1 --help` need not wait for torch."""
    for module, names in _HOMES.items():
        if name in names:
            with uncollected():
                value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module 'fo1' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""fo1: give any vision-language model the ability to point (VLM-FO1, arXiv 2509.25916)."""

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.errors import CheckpointError, Fo1Error, ImageError, PromptError, RegionError
from fo1.loading import load
from fo1.pipeline import FO1, Findings, Scene
from fo1.types import Regions

__all__ = [
    "FO1",
    "CheckpointError",
    "Detection",
    "Detections",
    "Findings",
    "Fo1Error",
    "ImageError",
    "PromptError",
    "RegionError",
    "Regions",
    "Scene",
    "load",
]

"""`Settings`: what the verbs want to know of a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a scene knows of a model, beside the model.

    threshold: score from which a region is reported. temperature: divides the logits of regions.
    compares: are words of place, size and colour in a phrase ("the left red cup") not for the model, but for
    geometry and the pixels?
    """

    name: str
    threshold: float = 0.0
    temperature: float = 1.0
    compares: bool = False

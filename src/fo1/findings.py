"""`Findings`: what a model found of the labels it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fo1.detections import Detections
from fo1.prompts.parsing import Answer, Grounding
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END, region_name


@dataclass(frozen=True, eq=False, repr=False)
class Findings(Detections):
    """Detections of asked labels, and what else the answer says.

    absent: asked labels for which the model named no region. answer: as the model writes it, and parsed.
    confidence: for each asked label, the score (N,) of every region of the scene, named or not.
    absence: for each asked label, the chance that there is none of it; empty if decoding was not constrained.
    """

    absent: tuple[str, ...] = ()
    answer: Answer = field(default_factory=lambda: Answer(""))
    confidence: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    absence: dict[str, float] = field(default_factory=dict)


def written(grounding: Grounding) -> str:
    """An answer's text: regions in ascending order, or `None`."""
    named = "".join(region_name(index) for index in grounding.regions) or "None"
    return f"{GROUND}{grounding.phrase}{GROUND_END}{OBJECTS}{named}{OBJECTS_END}"

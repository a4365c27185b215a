"""`SceneTruth`: what is in one picture of `fo1-scenes`, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from fo1.evaluation.benchmark import Sample
from fo1.evaluation.referring import Referral, referrals
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray


@dataclass(frozen=True, eq=False)
class SceneTruth(BoxTruth):
    """Labels without a box are absent. referred: phrases that mean one thing each.

    confusable: absent labels that are much like something present; they are asked apart from `labels`.
    """

    referred: tuple[Referral, ...] = ()
    confusable: tuple[str, ...] = ()

    @classmethod
    def made(
        cls,
        present: Mapping[str, FloatArray],
        absent: Sequence[str],
        size: tuple[int, int],
        rng: np.random.Generator,
        confusable: Sequence[str] = (),
    ) -> SceneTruth:
        """From label → (G, 4) boxes, all there are of it in an image of (width, height)."""
        plain = BoxTruth.by_label(present, absent)
        return cls(
            plain.xyxy,
            plain.names,
            plain.labels,
            plain.areas,
            plain.crowd,
            referred=referrals(present, size, rng),
            confusable=tuple(confusable),
        )

    @classmethod
    def of_sample(cls, sample: Sample[BoxTruth]) -> SceneTruth:
        """The truth of a sample of `fo1-scenes`, which are all of this type."""
        return cast(SceneTruth, sample.truth)

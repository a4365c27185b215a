"""`Grounded`: what a model says of labels on one image, kept so that it can be scored in any way later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np

from fo1.evaluation.benchmark import Prediction
from fo1.prompts.tasks import clean_labels
from fo1.scene import Scene
from fo1.types import FloatArray

# Scores are written down to this; less reads as 0. Ten thousand such boxes would not move an AP.
LEAST = 1e-4
DIGITS = 6


class Confidence(str, Enum):
    """Whose score orders the boxes. `proposer` is what the original does: boxes the model names, with the
    detector's score."""

    own = "own"
    proposer = "proposer"
    product = "product"


@dataclass(frozen=True, eq=False)
class Grounded:
    """Scores of N regions for some labels.

    xyxy: (N, 4) pixels of the upright image. size: its (width, height). proposer: (N,) the proposer's scores.
    scores: label → (N,) the score of every region, as it is reported.
    ranked: label → regions that may be reported at any threshold, each thing once, best first. The `named`
        ones among them, label → regions, are those the model reports.
    """

    xyxy: FloatArray
    size: tuple[int, int]
    proposer: FloatArray
    scores: dict[str, FloatArray]
    ranked: dict[str, tuple[int, ...]]
    named: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, scene: Scene, labels: Sequence[str], chunk: int | None = None) -> Grounded:
        """Asks a scene for all things of the labels.

        chunk: at most so many labels in a question; None: as many as the model asks at once.
        """
        asked = clean_labels(labels)
        regions, threshold = scene.regions, scene.settings.threshold
        scores: dict[str, FloatArray] = {}
        ranked: dict[str, tuple[int, ...]] = {}
        written: dict[str, set[int]] = {}
        step = chunk or len(asked)
        for start in range(0, len(asked), step):
            # Reported at any score: duplicates are merged best first, so a threshold can follow.
            found = scene.detect(asked[start : start + step], threshold=0.0)
            for label, row in found.confidence.items():
                rows = found.by_label(label)
                ranked[label] = tuple(rows.regions.tolist())
                scores[label] = row.copy()
                if not scene.writes:  # else what the model names is reported as it is
                    scores[label][rows.regions] = rows.scores
            for grounding in found.answer.groundings if scene.writes else ():
                written.setdefault(grounding.phrase, set()).update(grounding.regions)
        if not scene.writes:
            written = {label: set(np.flatnonzero(row >= threshold).tolist()) for label, row in scores.items()}
        ranked = _sorted(ranked, scores)
        named = {label: tuple(r for r in ranked[label] if r in written.get(label, ())) for label in scores}
        return cls(regions.xyxy, regions.image_size, regions.scores, scores, ranked, named)

    def by(self, confidence: Confidence) -> Grounded:
        """The same answer with other scores."""
        if confidence is Confidence.own:
            return self
        if confidence is Confidence.proposer:
            scores = dict.fromkeys(self.scores, self.proposer)
            return replace(self, scores=scores, ranked=_sorted(self.named, scores))
        scores = {label: mine * self.proposer for label, mine in self.scores.items()}
        return replace(self, scores=scores, ranked=_sorted(self.ranked, scores))

    def boxes(self, label: str) -> tuple[FloatArray, FloatArray]:
        """Ranked boxes (R, 4) of a label and their scores (R,), best first; none for a label not asked."""
        return self._of(label, self.ranked)

    def reported(self, label: str) -> tuple[FloatArray, FloatArray]:
        """As `boxes`, those that the model reports."""
        return self._of(label, self.named)

    def _of(self, label: str, chosen: dict[str, tuple[int, ...]]) -> tuple[FloatArray, FloatArray]:
        rows = list(chosen.get(label, ()))
        scores = self.scores[label][rows] if rows else np.zeros(0, np.float32)
        return self.xyxy[rows].reshape(-1, 4), scores

    def to_json(self) -> Prediction:
        """For a file of predictions; `of_json` reads it."""
        return {
            "size": list(self.size),
            "boxes": [[round(float(v), 2) for v in box] for box in self.xyxy],
            "proposer": _rounded(self.proposer),
            "scores": {label: _sparse(row) for label, row in self.scores.items()},
            "ranked": {
                label: [r for r in rows if self.scores[label][r] >= LEAST]
                for label, rows in self.ranked.items()
            },
            "named": {label: list(rows) for label, rows in self.named.items()},
        }

    @classmethod
    def of_json(cls, data: Prediction) -> Grounded:
        """What `to_json` made."""
        xyxy = np.array(data["boxes"], dtype=np.float32).reshape(-1, 4)
        width, height = data["size"]
        return cls(
            xyxy,
            (width, height),
            np.array(data["proposer"], dtype=np.float32),
            {label: _dense(row, len(xyxy)) for label, row in data["scores"].items()},
            {label: tuple(rows) for label, rows in data["ranked"].items()},
            {label: tuple(rows) for label, rows in data["named"].items()},
        )


def _sorted(chosen: dict[str, tuple[int, ...]], scores: dict[str, FloatArray]) -> dict[str, tuple[int, ...]]:
    """Best first; of equals the earlier one."""
    return {label: tuple(sorted(rows, key=lambda r: -scores[label][r])) for label, rows in chosen.items()}


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def _sparse(scores: FloatArray) -> dict[str, float]:
    rows = np.flatnonzero(scores >= LEAST).tolist()
    return dict(zip(map(str, rows), _rounded(scores[rows]), strict=True))


def _dense(scores: dict[str, Any], count: int) -> FloatArray:
    out = np.zeros(count, dtype=np.float32)
    for row, score in scores.items():
        out[int(row)] = score
    return out

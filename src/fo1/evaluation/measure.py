"""Runs a model over cases and adds up what it gets right."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np

from fo1.boxes import iou
from fo1.errors import ImageError
from fo1.evaluation.cases import Case
from fo1.evaluation.metrics import Tally
from fo1.pipeline import FO1
from fo1.scene import Scene

logger = logging.getLogger(__name__)


def measure(model: FO1, cases: Iterable[Case], namings: int = 2, threshold: float | None = None) -> Tally:
    """Asks every case for its labels, present and absent, and for the names of a few of its regions.

    A case whose image cannot be read is logged and counted as failed.
    """
    tally = Tally()
    for number, case in enumerate(cases):
        try:
            scene = model.look(case.image)
        except ImageError as error:
            logger.warning("case %d failed: %s", number, error)
            tally.failed += 1
            continue
        _detect(scene, case, tally, threshold)
        _name(scene, case, tally, namings)
        if (number + 1) % 20 == 0:
            logger.info("%d cases: %s", number + 1, tally.results())
    return tally


def _detect(scene: Scene, case: Case, tally: Tally, threshold: float | None) -> None:
    """Scores are the model's own, never the proposer's."""
    labels = [*case.present, *case.absent]
    found = scene.detect(labels, threshold)
    for label in labels:
        mine = found.by_label(label)
        truth = case.present.get(label)
        if truth is None:
            tally.add_absent(len(mine))
        else:
            tally.add_present(mine.xyxy, mine.scores, truth)
        overlap = iou(scene.regions.xyxy, truth).max(axis=1) if truth is not None else None
        scores = found.confidence[label]
        if len(scores):
            tally.add_confidence(scores, np.zeros_like(scores) if overlap is None else overlap)


def _name(scene: Scene, case: Case, tally: Tally, limit: int) -> None:
    """Names and describes the best-fitting region of some things; right if that is the thing's name."""
    for label, truth in list(case.present.items())[:limit]:
        overlap = iou(scene.regions.xyxy, truth[:1])[:, 0]
        if overlap.size and overlap.max() >= 0.6:
            region = int(overlap.argmax())
            tally.namings += 1
            tally.described += scene.describe(region).strip().lower() == label
            if scene.known_names:
                tally.named += scene.names(region, count=1)[0][0] == label

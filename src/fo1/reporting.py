"""`report`: what a model says of all regions → the things it found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import clip
from fo1.duplicates import Duplicates
from fo1.errors import PromptError
from fo1.findings import Findings, written
from fo1.prompts.parsing import Answer, Grounding
from fo1.rating import Rating
from fo1.types import Regions

Kept = tuple[NDArray[np.int64], NDArray[np.float32]]  # regions, and what they score


def check_threshold(threshold: float | None) -> None:
    """Raises `PromptError` for what is no chance."""
    if threshold is not None and not 0 <= threshold <= 1:
        raise PromptError(f"threshold must be between 0 and 1, got {threshold}")


def report(
    regions: Regions,
    labels: Sequence[str],
    rating: Rating,
    threshold: float | None,
    usual: float,
    crowded: bool,
    limit: int | None = None,
) -> Findings:
    """The regions of each label of which the model is sure.

    threshold: the score from which a region is reported; None: what the model itself reports, which is what
        it named, if it writes, with a score of at least `usual`. crowded: were there more regions than the
        model sees at once? limit: most regions of a label.
    """
    least = usual if threshold is None else threshold
    sure = (rating.scores >= least) & (rating.scores > 0)
    merge = crowded
    if rating.named is not None and threshold is None:
        sure &= rating.named  # by a model that names each thing once, if it sees all regions at once
    else:
        merge = True
    groups = []
    for scores, possible in zip(rating.scores, sure, strict=True):
        rows, kept = _kept(regions, scores, np.flatnonzero(possible), least, merge)
        groups.append((rows[:limit], kept[:limit]))
    return _findings(regions, labels, groups, rating)


def _kept(
    regions: Regions, scores: NDArray[np.float32], rows: NDArray[np.int64], least: float, merge: bool
) -> Kept:
    """Those of a label's regions `rows` that are reported, best first; with `merge`, each thing once."""
    if not merge:
        order = rows[np.argsort(-scores[rows], kind="stable")]
        return order, scores[order]
    kept, faded = Duplicates().merge(regions.xyxy[rows], scores[rows], least)
    return rows[kept], faded


def _findings(regions: Regions, labels: Sequence[str], groups: Sequence[Kept], rating: Rating) -> Findings:
    index = np.concatenate([*(rows for rows, _ in groups), np.zeros(0, dtype=np.int64)])
    found = dict(zip(labels, (rows.tolist() for rows, _ in groups), strict=True))
    groundings = tuple(Grounding(label, tuple(sorted(rows))) for label, rows in found.items())
    return Findings(
        clip(regions.xyxy[index], regions.image_size),
        np.concatenate([*(scores for _, scores in groups), np.zeros(0, np.float32)]),
        tuple(label for label, rows in found.items() for _ in rows),
        index,
        regions.image_size,
        absent=tuple(label for label, rows in found.items() if not rows),
        answer=rating.answer or Answer("".join(map(written, groundings)), groundings),
        confidence=dict(zip(labels, rating.scores, strict=True)),
        absence={} if rating.absence is None else dict(zip(labels, rating.absence.tolist(), strict=True)),
    )

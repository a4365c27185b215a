"""`report`: what a model says of all regions → the things it found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fo1.boxes import clip, suppress
from fo1.errors import PromptError
from fo1.findings import Findings, written
from fo1.prompts.parsing import Answer, Grounding
from fo1.rating import Rating
from fo1.types import Regions

# Two regions of one label are the same thing if they overlap more, or share more of the smaller one.
DUPLICATE_IOU = 0.5
DUPLICATE_COVER = 0.5


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
    groups = [_kept(regions, *row, merge=merge)[:limit] for row in zip(rating.scores, sure, strict=True)]
    return _findings(regions, labels, groups, rating)


def _kept(
    regions: Regions, scores: NDArray[np.float32], sure: NDArray[np.bool_], merge: bool
) -> NDArray[np.int64]:
    """Regions of one label of which the model is sure, best first; with `merge`, each thing once."""
    rows = np.flatnonzero(sure)
    if not merge:
        return rows[np.argsort(-scores[rows], kind="stable")]
    return rows[suppress(regions.xyxy[rows], scores[rows], DUPLICATE_IOU, DUPLICATE_COVER)]


def _findings(
    regions: Regions, labels: Sequence[str], groups: list[NDArray[np.int64]], rating: Rating
) -> Findings:
    index = np.concatenate([*groups, np.zeros(0, dtype=np.int64)])
    groundings = tuple(
        Grounding(label, tuple(sorted(group.tolist()))) for label, group in zip(labels, groups, strict=True)
    )
    chosen = [row[group] for row, group in zip(rating.scores, groups, strict=True)]
    return Findings(
        clip(regions.xyxy[index], regions.image_size),
        np.concatenate([*chosen, np.zeros(0, np.float32)]),
        tuple(label for label, group in zip(labels, groups, strict=True) for _ in group),
        index,
        regions.image_size,
        absent=tuple(label for label, group in zip(labels, groups, strict=True) if not len(group)),
        answer=rating.answer or Answer("".join(map(written, groundings)), groundings),
        confidence=dict(zip(labels, rating.scores, strict=True)),
        absence={} if rating.absence is None else dict(zip(labels, rating.absence.tolist(), strict=True)),
    )

"""Which regions a training example shows, and which true objects they are.

At use, boxes come from a detector: some hit, some are a little off, many are of nothing asked for. Training
shows the same: proposals, true boxes or both, each compared with the truth by IoU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fo1.boxes import area, clip, intersection, iou
from fo1.data.settings import SettingError, check_share
from fo1.types import FloatArray, Regions

Bools = NDArray[np.bool_]
Kind = Literal["match", "ambiguous", "none"]


@dataclass(frozen=True)
class ProposalMix:
    """How shown regions are chosen. All defaults are our choice; the paper gives none.

    share_truth: chance of each true object that its own box is shown beside the proposals. 0: proposals
        alone. 1 and no proposals: the truth alone.
    jitter: how far each edge of such a box may move, as a fraction of the box's side.
    match_iou: IoU with an object from which a region shows it.
    ambiguous: a best IoU in [low, high) is neither a match nor clearly something else.
    tie: a region shows the object it overlaps most, and others whose IoU is at most this much lower.
    duplicates: several regions show one object: "name" them all in answers, or "hide" all but one, the true
        box if it is there, else the best.
    unmatched: an object for which no proposal is left: "drop" it from answers, or "add" its own box.
    keep_distractors, keep_ambiguous: show regions that match nothing; that may match something.
    cap: regions shown at most; one for each object first, then the best-scored.
    shuffle: in random order, so that the order tells nothing. Else proposals as given, then true boxes.

    Raises `SettingError` for values that make no sense.
    """

    share_truth: float = 0.0
    jitter: float = 0.0
    match_iou: float = 0.5
    ambiguous: tuple[float, float] = (0.3, 0.5)
    tie: float = 0.1
    duplicates: Literal["name", "hide"] = "name"
    unmatched: Literal["drop", "add"] = "drop"
    keep_distractors: bool = True
    keep_ambiguous: bool = True
    cap: int = 100
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name in ("share_truth", "jitter", "match_iou", "tie"):
            check_share(name, getattr(self, name))
        low, high = self.ambiguous
        if not 0 <= low <= high <= self.match_iou or not self.match_iou:
            raise SettingError(
                f"ambiguous {low} to {high} and match_iou {self.match_iou}: give them in ascending order, "
                "the last above 0"
            )
        if self.duplicates not in ("name", "hide") or self.unmatched not in ("drop", "add"):
            raise SettingError(
                f"duplicates {self.duplicates!r}, unmatched {self.unmatched!r}: "
                'duplicates are "name" or "hide", unmatched "drop" or "add"'
            )
        if self.cap < 1:
            raise SettingError(f"cap must be at least 1, got {self.cap}")


@dataclass(frozen=True, eq=False)
class Matching:
    """S shown regions against T true objects.

    overlap: (S, T) IoU. matches: (S, T) bool, does the region show the object?
    ambiguous: (S,) bool, the regions that may show one. own: for each object the one region that stands for
    it alone (no two objects share one), or None.
    """

    shown: Regions
    overlap: FloatArray
    matches: Bools
    ambiguous: Bools
    own: tuple[int | None, ...]

    def kind(self, region: int) -> Kind:
        """What a shown region is."""
        if self.matches[region].any():
            return "match"
        return "ambiguous" if self.ambiguous[region] else "none"

    def objects(self, region: int) -> tuple[int, ...]:
        """The objects a shown region matches, the one it overlaps most first."""
        order = np.argsort(-self.overlap[region], kind="stable")
        return tuple(int(i) for i in order if self.matches[region, i])

    def regions(self, target: int) -> tuple[int, ...]:
        """All shown regions of an object, ascending."""
        return tuple(np.flatnonzero(self.matches[:, target]).tolist())

    def best(self, target: int) -> int | None:
        """The one region to call an object by: its own, else the best of those it shares with others."""
        own, shared = self.own[target], self.regions(target)
        if own is not None or not shared:
            return own
        return max(shared, key=lambda region: float(self.overlap[region, target]))


def match(
    truth: ArrayLike,
    proposals: Regions,
    mix: ProposalMix,
    rng: np.random.Generator,
    ignored: ArrayLike = (),
) -> Matching:
    """Chooses the regions to show and says what each is.

    truth: (T, 4) boxes of the true objects, pixels of the original image as the proposals'.
    ignored: (I, 4) boxes of crowds and the like, of which nobody knows what is in them: proposals that match
        no object and lie in one by half are not shown.
    Everything random is drawn from `rng`.
    """
    true = np.asarray(truth, dtype=np.float32).reshape(-1, 4)
    proposals = _outside(proposals, true, ignored, mix)
    overlap = iou(proposals.xyxy, true)
    chosen = rng.random(len(true)) < mix.share_truth
    if mix.unmatched == "add":
        chosen |= np.array([own is None for own in _assigned(overlap, _matches(overlap, mix))], dtype=bool)
    added = np.flatnonzero(chosen)
    boxes = _jittered(true[added], mix, proposals.image_size, rng)
    pool = Regions(
        np.concatenate([proposals.xyxy, boxes]),
        np.concatenate([proposals.scores, np.ones(len(added), np.float32)]),
        proposals.image_size,
    )
    overlap = np.concatenate([overlap, iou(boxes, true)])
    matches = _matches(overlap, mix)
    # A true box shows its object whatever its IoU: one without area has none with itself.
    rows = len(proposals) + np.arange(len(added))
    matches[rows, added] = True
    own = _assigned(overlap, matches, dict(zip(added.tolist(), rows.tolist(), strict=True)))
    return _shown(pool, overlap, matches, own, mix, rng)


def _outside(proposals: Regions, true: FloatArray, ignored: ArrayLike, mix: ProposalMix) -> Regions:
    """Proposals that match an object or lie in nothing ignored."""
    inside = intersection(proposals.xyxy, ignored).max(axis=1, initial=0) > area(proposals.xyxy) / 2
    return proposals.take(np.flatnonzero(~inside | _matches(iou(proposals.xyxy, true), mix).any(axis=1)))


def _shown(
    pool: Regions,
    overlap: FloatArray,
    matches: Bools,
    own: list[int | None],
    mix: ProposalMix,
    rng: np.random.Generator,
) -> Matching:
    low, high = mix.ambiguous
    most = overlap.max(axis=1, initial=0)
    ambiguous = ~matches.any(axis=1) & (most >= low) & (most < high)
    kept = _selected(pool.scores, np.any(matches, axis=1), np.asarray(ambiguous), own, mix)
    kept = rng.permutation(kept) if mix.shuffle else np.sort(kept)
    place = {int(row): i for i, row in enumerate(kept)}
    return Matching(
        pool.take(kept),
        overlap[kept],
        matches[kept],
        ambiguous[kept],
        tuple(None if row is None else place.get(row) for row in own),
    )


def _matches(overlap: FloatArray, mix: ProposalMix) -> Bools:
    most = overlap.max(axis=1, initial=0, keepdims=True)
    found: Bools = (overlap >= mix.match_iou) & (overlap >= most - mix.tie)
    return found


def _assigned(
    overlap: FloatArray, matches: Bools, true_boxes: Mapping[int, int] | None = None
) -> list[int | None]:
    """One region for each object: its true box if that is there, then the pairs that overlap most first."""
    rows, columns = np.nonzero(matches)
    given = true_boxes or {}
    own: list[int | None] = [given.get(target) for target in range(overlap.shape[1])]
    taken = set(given.values())
    for pair in np.argsort(-overlap[rows, columns], kind="stable"):
        row, column = int(rows[pair]), int(columns[pair])
        if own[column] is None and row not in taken:
            own[column] = row
            taken.add(row)
    return own


def _selected(
    scores: FloatArray, matched: Bools, ambiguous: Bools, own: list[int | None], mix: ProposalMix
) -> NDArray[np.int64]:
    """Rows of the pool to show, unordered."""
    assigned = np.zeros(len(scores), dtype=bool)
    assigned[[row for row in own if row is not None]] = True
    wanted = assigned.copy()
    if mix.duplicates == "name":
        wanted |= matched
    if mix.keep_ambiguous:
        wanted |= ambiguous
    if mix.keep_distractors:
        wanted |= ~matched & ~ambiguous
    rank = np.where(assigned, 0, np.where(matched, 1, 2))
    order = np.lexsort((-scores, rank))
    return order[wanted[order]][: mix.cap].astype(np.int64)


def _jittered(
    boxes: FloatArray, mix: ProposalMix, image_size: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    """Boxes with edges moved at random; as they were where they would no longer match themselves."""
    shift = rng.uniform(-mix.jitter, mix.jitter, boxes.shape).astype(np.float32)
    if not mix.jitter:
        return boxes
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = clip(boxes + shift * sides, image_size)
    fits = np.diagonal(iou(moved, boxes)) >= mix.match_iou
    return np.where(fits[:, None], moved, boxes)

"""Votes: what a model thinks of every region of an image, for each label; thresholds can change later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fo1.boxes import clip
from fo1.detections import Detections
from fo1.duplicates import Duplicates
from fo1.errors import Fo1Error
from fo1.labeling.ledger import Ledger, Row
from fo1.labeling.masking import MASKED, masked, outlined
from fo1.outlined import Outlined

if TYPE_CHECKING:
    from fo1.findings import Findings
    from fo1.labeling.pipeline import Ask, Picture
    from fo1.pipeline import FO1
    from fo1.settings import Settings
    from fo1.types import Regions

FLOOR = 0.02
"""Scores below are not kept: hundreds of regions are nearly surely not the thing."""


def vote(model: FO1, pictures: Sequence[Picture], labels: Sequence[str]) -> list[Row]:
    """The votes on a batch of images: a function of these arguments alone.

    A row holds boxes (xyxy, original pixels) and the proposer's scores; for each label `votes`, which are
    `[region, score]` from `FLOOR` on, and `absence`, the chance that there is none; and `named`, the regions
    a model that writes its answers has named. Raises `Fo1Error`.
    """
    images = [picture.image for picture in pictures if picture.image is not None]
    scenes = model.look_many(images, [picture.regions for picture in pictures])
    return [
        row(picture, scene.regions, scene.detect(labels), scene.writes)
        for picture, scene in zip(pictures, scenes, strict=True)
    ]


def row(picture: Picture, regions: Regions, found: Findings, writes: bool) -> Row:
    """The votes on one image. writes: does the model write which regions it means?"""
    made = picture.head()
    made["boxes"] = [[round(float(v), 2) for v in box] for box in regions.xyxy]
    made["proposed"] = [round(float(score), 4) for score in regions.scores]
    made["votes"] = {label: _kept(scores) for label, scores in found.confidence.items()}
    made["absence"] = {label: round(chance, 4) for label, chance in found.absence.items()}
    if writes:
        made["named"] = _named(found)
    return made


def voter(model: FO1, labels: Sequence[str], masks: str | None = None) -> Ask:
    """What asks a model for its votes. masks: a SAM's folder or hub id, for masks of what is found.

    Raises `CheckpointError` if it cannot be loaded.
    """
    ask = partial(vote, model, labels=labels)
    return ask if masks is None else masking(ask, labels, model.settings, masks, str(model.model.device))


def masking(ask: Ask, labels: Sequence[str], settings: Settings, masks: str, device: str) -> Ask:
    """As `ask`, with masks. settings: of the model that votes. Raises `CheckpointError`."""
    from fo1.segmenting import Segmenter

    usual = Reading(tuple(labels), settings.threshold)
    least = replace(usual, thresholds=Thresholds(MASKED))
    segmenter = Segmenter.load(masks, device)
    return masked(ask, segmenter, (usual.detections, least.detections))


def _kept(scores: Any) -> list[list[float]]:
    """`[region, score]`, best first."""
    order = np.argsort(-scores, kind="stable")
    return [[int(i), round(float(scores[i]), 4)] for i in order if scores[i] >= FLOOR]


def _named(found: Findings) -> dict[str, list[int]]:
    named: dict[str, list[int]] = {}
    for label, region in zip(found.labels, found.regions.tolist(), strict=True):
        named.setdefault(label, []).append(region)
    return named


@dataclass(frozen=True)
class Thresholds:
    """From which score a region is a thing. usual: for labels without one of their own; None: the model's."""

    usual: float | None = None
    by_label: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Sequence[str], labels: Sequence[str]) -> Thresholds:
        """From words such as `0.4`, `cat=0.6` or `0.4, cat=0.6`. Raises `Fo1Error`."""
        usual, by_label = None, {}
        for part in (part.strip() for word in words for part in word.split(",")):
            label, _, number = part.rpartition("=")
            label = label.strip()
            if label and label not in labels:
                raise Fo1Error(
                    f"--threshold {part}: there are no votes on {label!r}, only on {', '.join(labels)}"
                )
            try:
                value = float(number)
            except ValueError as error:
                raise Fo1Error(f"--threshold {part}: expected a number, or LABEL=NUMBER") from error
            if not FLOOR <= value <= 1:
                raise Fo1Error(f"--threshold {part}: must be from {FLOOR} (lower votes are not kept) to 1")
            if label:
                by_label[label] = value
            else:
                usual = value
        return cls(usual, by_label)


class Found:
    """The detections of each image in a ledger, read anew each time. Images that failed are left out."""

    def __init__(self, ledger: Ledger, reading: Reading) -> None:
        self._ledger, self._reading = ledger, reading

    def __iter__(self) -> Iterator[tuple[str, Detections | Outlined]]:
        for row in self._ledger:
            if "error" not in row:
                found = self._reading.detections(row)
                yield row["image"], outlined(row, found) if "masks" in row else found


@dataclass(frozen=True)
class Reading:
    """How votes become detections.

    labels: in the order in which they were asked. own: the model's threshold.
    """

    labels: tuple[str, ...]
    own: float
    duplicates: Duplicates = Duplicates()
    thresholds: Thresholds = Thresholds()

    @classmethod
    def of(cls, settings: Mapping[str, Any], thresholds: Sequence[str] = ()) -> Reading:
        """settings: of the run that voted. thresholds: as the command line says them. Raises `Fo1Error`."""
        labels = tuple(settings["labels"])
        iou, cover, *fading = settings["duplicates"]  # early runs knew no fading
        duplicates = Duplicates(iou, cover, *fading or [0.0])
        return cls(labels, settings["threshold"], duplicates, Thresholds.parse(thresholds, labels))

    def detections(self, row: Row) -> Detections:
        """As `Scene.detect` would report them at these thresholds."""
        boxes = np.array(row["boxes"], dtype=np.float32).reshape(-1, 4)
        chosen = [(label, *pair) for label in self.labels for pair in self._chosen(row, label, boxes)]
        regions = np.array([region for _, region, _ in chosen], dtype=np.int64)
        return Detections(
            clip(boxes[regions], row["size"]),
            np.array([score for *_, score in chosen], dtype=np.float32),
            tuple(label for label, *_ in chosen),
            regions,
            (row["size"][0], row["size"][1]),
        )

    def _chosen(self, row: Row, label: str, boxes: Any) -> list[tuple[int, float]]:
        """(region, score), best first."""
        votes = {int(region): float(score) for region, score in row["votes"][label]}
        least = self.thresholds.by_label.get(label, self.thresholds.usual)
        if least is None and "named" in row:
            return [(region, votes.get(region, 0.0)) for region in row["named"].get(label, ())]
        least = self.own if least is None else least
        sure = [region for region, score in votes.items() if score >= least]
        kept, scores = self.duplicates.merge(boxes[sure], [votes[region] for region in sure], least)
        return [(sure[i], float(score)) for i, score in zip(kept, scores, strict=True)]

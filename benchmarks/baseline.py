"""The bundled detector alone (NanoDet) beside a model, on the names that it knows.

    python benchmarks/baseline.py [--split real|composed|…] [--data photos|ASSETS] [--pictures N]

Judged are the labels of `fo1-scenes` that are COCO classes or everyday words for them, present and absent.
NanoDet's answer for a label is what it gives its classes, merged as its authors do (IoU 0.6). Rows: the model
at its own threshold; NanoDet where its recall is the same; both where their F1 is best; NanoDet at thresholds
that its users choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from asked_scenes import parser, samples
from PIL import Image

import fo1
from fo1.boxes import clip, nms
from fo1.checkpoints.native import bundled_proposer
from fo1.encoders import names
from fo1.encoders.nanodet import NanoDet
from fo1.evaluation.benchmarks.name_groups import NameGroup
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import match
from fo1.evaluation.metrics import share
from fo1.evaluation.truth import BoxTruth
from fo1.images import load_image
from fo1.proposals.nanodet import decoded
from fo1.types import FloatArray

LEAST, MERGE = 0.02, 0.6
USUAL = (0.3, 0.4, 0.5)


@dataclass
class Ranking:
    """Found boxes of all labels.

    scores, hits: of each box. things: true ones. absent: the best score of each label that is not there.
    """

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    things: int = 0
    absent: list[float] = field(default_factory=list)

    def add(self, boxes: FloatArray, scores: FloatArray, truth: BoxTruth, label: str) -> None:
        """One label on one picture; boxes best first, so that what is right holds at any threshold."""
        self.things += len(truth.rows(label))
        self.scores += scores.tolist()
        self.hits += match(boxes, truth, label).hits.tolist()
        if label not in truth.names:
            self.absent.append(float(scores.max(initial=0.0)))

    def figures(self, threshold: float) -> tuple[float, float, float, float]:
        """F1, precision, recall, share of absent labels refused."""
        kept = np.asarray(self.scores) >= threshold
        hits = int(np.asarray(self.hits)[kept].sum())
        f1 = share(2 * hits, int(kept.sum()) + self.things)
        refused = share(sum(score < threshold for score in self.absent), len(self.absent))
        return f1, share(hits, int(kept.sum())), share(hits, self.things), refused

    def best(self) -> float:
        """The threshold of the best F1."""
        return max(sorted(set(self.scores)), key=lambda threshold: self.figures(threshold)[0])

    def recalling(self, recall: float) -> float:
        """The highest threshold with that recall, or the lowest there is."""
        thresholds = sorted(set(self.scores), reverse=True)
        return next((t for t in thresholds if self.figures(t)[2] >= recall - 1e-9), thresholds[-1])


class Detector:
    """NanoDet, asked by label."""

    def __init__(self, encoder: NanoDet) -> None:
        self.encoder, coco = encoder, names.coco()
        self.classes = {name: [number] for number, name in enumerate(coco)}
        for word, number in names.everyday():
            if number < len(coco) and word not in coco:
                self.classes.setdefault(word, []).append(number)

    @torch.inference_mode()
    def look(self, image: Image.Image) -> tuple[FloatArray, FloatArray]:
        """Boxes (C, 4) of all cells in pixels of the image, and their scores (80, C)."""
        (features,) = self.encoder([image])
        scores = torch.cat([level.flatten(1) for level in features.maps[NanoDet.CLASSES]], dim=1)
        levels = zip(features.maps[NanoDet.BOXES], features.strides[NanoDet.BOXES], strict=True)
        boxes = torch.cat([decoded(level, stride) for level, stride in levels])
        boxes = boxes / torch.tensor(features.frame.scale * 2)
        return clip(boxes.numpy(), image.size), scores.float().numpy()

    def find(self, boxes: FloatArray, scores: FloatArray, label: str) -> tuple[FloatArray, FloatArray]:
        """Boxes of a label, best first, and their scores."""
        mine = scores[self.classes[label]].max(axis=0)
        rows = np.flatnonzero(mine >= LEAST)
        rows = rows[nms(boxes[rows], mine[rows], MERGE)]
        return boxes[rows], mine[rows]


def table(model: Ranking, own: float, detector: Ranking) -> str:
    """Each row a threshold; own: the model's."""
    rows = [
        ("model, its threshold", model, own),
        ("NanoDet, same recall", detector, detector.recalling(model.figures(own)[2])),
        ("model, best F1", model, model.best()),
        ("NanoDet, best F1", detector, detector.best()),
        *((f"NanoDet, {threshold}", detector, threshold) for threshold in USUAL),
    ]
    lines = ["| | threshold | F1 | precision | recall | refused |", "|---|---|---|---|---|---|"]
    for what, ranking, threshold in rows:
        cells = " | ".join(f"{value:.3f}" for value in (threshold, *ranking.figures(threshold)))
        lines.append(f"| {what} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__).parse_args()
    model, detector = fo1.load(arguments.model), Detector(bundled_proposer().encoder)
    ours, theirs, pictures = Ranking(), Ranking(), samples(arguments)
    for sample in pictures:
        labels = [label for label in sample.truth.labels if NameGroup.of(label) is NameGroup.coco]
        image = load_image(sample.image)
        # Asked as in the benchmark, other labels and all.
        answer, seen = Grounded.of(model.look(image), sample.truth.labels), detector.look(image)
        for label in labels:
            ours.add(*answer.boxes(label), sample.truth, label)
            theirs.add(*detector.find(*seen, label), sample.truth, label)
    print(table(ours, model.settings.threshold, theirs))
    print(f"\n{len(pictures)} pictures, {ours.things} things, {len(ours.absent)} absent labels")


if __name__ == "__main__":
    main()

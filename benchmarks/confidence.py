"""Three ways to be sure of a region, compared; and what a threshold trades.

python benchmarks/confidence.py --pictures 26 [--split composed --data ASSETS]

hazard: would the region be named when its turn comes (the pointer's yes or no; what `detect` gives).
softmax: the region's share at the first step, among all regions and "none".
probe: "Is <regionN> a cup?", the share of " Yes" against " No"; one branch for every region.
Regions that overlap a thing of the label by 0.5 are right, those below 0.3 wrong, others do not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from asked_scenes import parser, samples
from numpy.typing import NDArray

import fo1
from fo1.boxes import claims, iou
from fo1.evaluation.calibration import Calibration
from fo1.evaluation.metrics import ranking, share
from fo1.evaluation.truth import BoxTruth
from fo1.forest import read_on
from fo1.prompts.tree import PromptTree
from fo1.scene import Scene

WAYS = ("hazard", "softmax", "probe")
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
Scores = dict[str, NDArray[np.float32]]


def softmax(hazards: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) chances of yes, each on its own → shares of one choice among all and none."""
    odds = hazards / np.maximum(1 - hazards, 1e-6)
    return odds / (1 + odds.sum())


@torch.inference_mode()
def probe(scene: Scene, labels: list[str]) -> Scores:
    model, encoded = scene.model, scene.encoded
    prompts, count = model.prompts, len(encoded.regions)
    yes, no = (prompts.template(word)[0] for word in (" Yes", " No"))
    scores: Scores = {}
    for label in labels:
        tree = PromptTree()
        root = tree.add(prompts.prefix(encoded.sight.ids, count))
        asked = [prompts.question(f"Is <region{i}> a {label}?", count) for i in range(count)]
        places = [tree.last(tree.add(ids, root)) for ids in asked]
        (states,) = read_on(model, [tree], encoded, [places])
        with model.bound([encoded]):
            logits = model.base.get_output_embeddings()(states[None])[0][:, [yes, no]].float()
        scores[label] = logits.softmax(dim=1)[:, 0].numpy()
    return scores


def average_precision(scores: list[float], right: list[bool]) -> float:
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.asarray(right, dtype=float)[order]
    precision = hits.cumsum() / (np.arange(len(hits)) + 1)
    return float((precision * hits).sum() / max(hits.sum(), 1))


@dataclass
class Tally:
    """What is added up over pictures.

    regions: way → score of each region for each label, and is it right. best: of each label, is it there, and
    the best region's hazard. found: score of each box that may be reported, and is it right. things: true
    ones.
    seconds: way → in all, for a label.
    """

    regions: dict[str, tuple[list[float], list[bool]]] = field(
        default_factory=lambda: {way: ([], []) for way in WAYS}
    )
    best: list[tuple[bool, float]] = field(default_factory=list)
    found: list[tuple[float, bool]] = field(default_factory=list)
    things: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WAYS, 0.0))

    def add(self, scene: Scene, truth: BoxTruth, labels: list[str]) -> None:
        """One picture."""
        scene.detect(labels)  # so that no way pays for reading the picture
        reported = scene.detect(labels, threshold=0.0)
        ways: dict[str, Callable[[], Scores]] = {
            "hazard": lambda: scene.detect(labels, threshold=0.0).confidence,
            "softmax": lambda: {
                label: softmax(row) for label, row in scene.detect(labels, threshold=0.0).confidence.items()
            },
            "probe": lambda: probe(scene, labels),
        }
        for way, work in ways.items():
            started = time.perf_counter()
            scores = work()
            self.seconds[way] += (time.perf_counter() - started) / len(labels)
            for label in labels:
                overlap = iou(truth.xyxy[truth.rows(label)], scene.regions.xyxy).max(axis=0, initial=0.0)
                clear = (overlap >= 0.5) | (overlap < 0.3)
                self.regions[way][0].extend(scores[label][clear].tolist())
                self.regions[way][1].extend((overlap[clear] >= 0.5).tolist())
        for label in labels:
            boxes, mine = truth.xyxy[truth.rows(label)], reported.by_label(label)
            self.best.append((bool(len(boxes)), float(reported.confidence[label].max(initial=0.0))))
            self.things += len(boxes)
            right = claims(iou(mine.xyxy, boxes)) >= 0
            self.found += zip(mine.scores.tolist(), right.tolist(), strict=True)

    def ways(self, pictures: int) -> str:
        """How good each confidence is."""
        lines = ["| confidence | AP | AUC | calibration error | seconds a label |", "|---|---|---|---|---|"]
        for way, (values, right) in self.regions.items():
            yes, no = (
                [v for v, r in zip(values, right, strict=True) if r is wanted] for wanted in (True, False)
            )
            error, ap = Calibration.of(values, right).error, average_precision(values, right)
            seconds = self.seconds[way] / pictures
            lines.append(f"| {way} | {ap:.3f} | {ranking(yes, no):.3f} | {error:.3f} | {seconds:.3f} |")
        return "\n".join(lines)

    def thresholds(self) -> str:
        """What a threshold on the hazard trades."""
        lines = ["| threshold | absent labels refused | recall | precision |", "|---|---|---|---|"]
        absent = [score for there, score in self.best if not there]
        for threshold in THRESHOLDS:
            kept = [hit for score, hit in self.found if score >= threshold]
            refused = share(sum(score < threshold for score in absent), len(absent))
            recall, precision = share(sum(kept), self.things), share(sum(kept), len(kept))
            lines.append(f"| {threshold} | {refused:.3f} | {recall:.3f} | {precision:.3f} |")
        return "\n".join(lines)


def main() -> None:
    asked = parser(__doc__, pictures=26)
    asked.add_argument("--labels", type=int, default=6, help="asked in a picture, present ones first")
    arguments = asked.parse_args()
    model, tally = fo1.load(arguments.model), Tally()
    for sample in samples(arguments):
        tally.add(model.look(sample.image), sample.truth, list(sample.truth.labels)[: arguments.labels])
    print(tally.ways(len(samples)), tally.thresholds(), sep="\n\n")


if __name__ == "__main__":
    main()

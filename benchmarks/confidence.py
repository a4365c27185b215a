"""Three ways to be sure of a region, compared; and what a threshold trades.

python benchmarks/confidence.py --pictures 26 [--split composed --data ASSETS]

hazard: would the region be named when its turn comes (the pointer's yes or no; what `detect` gives).
softmax: the region's share at the first step, among all regions and "none".
probe: "Is <regionN> a cup?", the share of " Yes" against " No"; one branch for every region.
Regions that overlap a thing of the label by 0.5 are right, those below 0.3 wrong, others do not count.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import fo1
from fo1.boxes import iou
from fo1.evaluation.benchmarks import BENCHMARKS
from fo1.evaluation.calibration import Calibration
from fo1.evaluation.metrics import ranking, share
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fo1-smol")
    parser.add_argument("--split", default="real")
    parser.add_argument("--data", type=Path, default=Path("photos"))
    parser.add_argument("--pictures", type=int, default=26)
    parser.add_argument(
        "--labels", type=int, default=6, help="labels probed in a picture, present ones first"
    )
    arguments = parser.parse_args()
    model = fo1.load(arguments.model)
    samples = BENCHMARKS.get("fo1-scenes")().open(arguments.data, arguments.split)[: arguments.pictures]
    pooled: dict[str, tuple[list[float], list[bool]]] = {way: ([], []) for way in WAYS}
    seconds = dict.fromkeys(WAYS, 0.0)
    best: list[tuple[bool, float]] = []  # of each label asked: is it there, and the best region's hazard
    found: list[tuple[float, bool]] = []  # reported boxes: score, right
    things = 0
    for sample in samples:
        scene, truth = model.look(sample.image), sample.truth
        labels = list(truth.labels)[: arguments.labels]
        scene.detect(labels)  # so that no way pays for reading the picture
        scores: dict[str, Scores] = {}
        for way in WAYS:
            started = time.perf_counter()
            if way == "probe":
                scores[way] = probe(scene, labels)
            else:
                hazards = scene.detect(labels, threshold=0.0)
                scores[way] = hazards.confidence
                if way == "softmax":
                    scores[way] = {label: softmax(row) for label, row in scores[way].items()}
                else:
                    reported = hazards
            seconds[way] += (time.perf_counter() - started) / len(labels)
        for label in labels:
            boxes = truth.xyxy[truth.rows(label)]
            overlap = (
                iou(scene.regions.xyxy, boxes).max(axis=1) if len(boxes) else np.zeros(len(scene.regions))
            )
            clear = (overlap >= 0.5) | (overlap < 0.3)
            for way in WAYS:
                pooled[way][0].extend(scores[way][label][clear].tolist())
                pooled[way][1].extend((overlap[clear] >= 0.5).tolist())
            best.append((bool(len(boxes)), float(scores["hazard"][label].max(initial=0.0))))
            things += len(boxes)
            mine, free = reported.by_label(label), iou(reported.by_label(label).xyxy, boxes)
            for row, score in enumerate(mine.scores.tolist()):
                hit = free.shape[1] > 0 and free[row].max() >= 0.5
                if hit:
                    free[:, int(free[row].argmax())] = -1
                found.append((score, hit))
    print("| confidence | AP | AUC | calibration error | seconds a label |\n|---|---|---|---|---|")
    for way in WAYS:
        values, right = pooled[way]
        sorted_out = [
            [v for v, r in zip(values, right, strict=True) if r is wanted] for wanted in (True, False)
        ]
        auc = ranking(*sorted_out)
        error, ap = Calibration.of(values, right).error, average_precision(values, right)
        print(f"| {way} | {ap:.3f} | {auc:.3f} | {error:.3f} | {seconds[way] / len(samples):.3f} |")
    print("\n| threshold | absent labels refused | recall | precision |\n|---|---|---|---|")
    absent = [score for there, score in best if not there]
    for threshold in THRESHOLDS:
        kept = [hit for score, hit in found if score >= threshold]
        refused = share(sum(score < threshold for score in absent), len(absent))
        print(
            f"| {threshold} | {refused:.3f} | {sum(kept) / things:.3f} | {share(sum(kept), len(kept)):.3f} |"
        )


if __name__ == "__main__":
    main()

"""The benchmark that comes with the project: photos with hand-made boxes, and composed scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fo1.boxes import iou
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.benchmarks.composed import SPLITS, composed
from fo1.evaluation.benchmarks.scene_metric import SceneMetric
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.files import existing, read_json, rows_with
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.truth import BoxTruth
from fo1.scene import Scene

WHAT = "the annotations of the photos that come with the project"
PHOTOS = ("real", "real-unseen")
KEYS = ("image", "size", "objects", "absent")
NAMINGS = 2  # things of a picture that are named, at most
COVERS = 0.6  # IoU from which a region shows a thing


@BENCHMARKS.register("fo1-scenes")
class Scenes(BoxBenchmark):
    """Detection, refusal, counting, referring, naming and describing, all asked about every picture."""

    name = "fo1-scenes"
    description = "the project's own: find, refuse, count, refer and name"
    splits = (*PHOTOS, *SPLITS)
    layout = "annotations.json and its photos (real…), or what scripts/fetch_assets.py fetched (the others)"
    home = Path("photos")

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """Photos of the folder, or scenes composed from it."""
        if split in PHOTOS:
            return photos(folder, unseen=split == "real-unseen")
        return composed(folder, split)

    def ask(self, scene: Scene, sample: Sample[BoxTruth]) -> Prediction:
        """What is found of all labels at once, where each phrase points, and what some regions are called."""
        truth = SceneTruth.of_sample(sample)
        answer = Grounded.of(scene, truth.labels)
        return {
            **answer.to_json(),
            # Every region's score, however small, for the ranking.
            "rated": {label: [float(f"{one:.4g}") for one in row] for label, row in answer.scores.items()},
            "mistaken": _mistaken(scene, truth.confusable),
            "referred": {one.phrase: _pointed(scene, one.phrase) for one in truth.referred},
            "called": [_called(scene, region, label) for label, region in _covering(scene, truth)],
        }

    def metric(self) -> SceneMetric:
        """All figures; no proposer's score is in any of them."""
        return SceneMetric()


def photos(folder: Path, unseen: bool = False) -> list[Sample[BoxTruth]]:
    """From `annotations.json` and photos beside it; unseen: only those that played no part in any choice."""
    path = folder / "annotations.json"
    rng = np.random.default_rng(0)
    samples: list[Sample[BoxTruth]] = []
    for entry in rows_with(read_json(path, WHAT), KEYS, path, "photos"):
        if unseen and not entry.get("unseen"):
            continue
        boxes: dict[str, list[list[float]]] = {}
        for thing in entry["objects"]:
            boxes.setdefault(thing["label"], []).append(thing["box"])
        present = {label: np.array(rows, dtype=np.float32) for label, rows in boxes.items()}
        width, height = entry["size"]
        confusable = entry.get("confusable", ())
        truth = SceneTruth.made(present, entry["absent"], (width, height), rng, confusable)
        image = existing(folder / entry["image"], f"a photo that {path} names")
        samples.append(Sample(entry["image"], image, truth, size=(width, height)))
    return samples


def _mistaken(scene: Scene, labels: Sequence[str]) -> list[str]:
    """Those of some absent labels that something is taken for."""
    return list(dict.fromkeys(scene.detect(labels).labels)) if labels else []


def _pointed(scene: Scene, phrase: str) -> list[float] | None:
    """The box of the region that fits a phrase best, however little."""
    found = scene.find(phrase, threshold=0.0)
    return found.xyxy[0].tolist() if len(found) else None


def _covering(scene: Scene, truth: SceneTruth) -> list[tuple[str, int]]:
    """The first thing of each of the first labels, and the region that covers it, if one does."""
    found = []
    for label in list(dict.fromkeys(truth.names))[:NAMINGS]:
        overlap = iou(scene.regions.xyxy, truth.xyxy[truth.rows(label)[:1]])[:, 0]
        if overlap.size and overlap.max() >= COVERS:
            found.append((label, int(overlap.argmax())))
    return found


def _called(scene: Scene, region: int, label: str) -> dict[str, Any]:
    """What a region is called: in the model's own words, and by the best of the names it knows."""
    named = scene.names(region, count=1)[0][0] if scene.known_names else None
    return {"label": label, "described": scene.describe(region), "named": named}

"""How many true boxes a proposer finds at all, which bounds every other figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fo1.boxes import iou
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.benchmarks.instances import Instances
from fo1.evaluation.benchmarks.scenes import photos
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth
from fo1.scene import Scene

COUNTS = (10, 50, 100, 300)
OVERLAPS = (0.5, 0.7, 0.9)
WHAT = "an instances file in COCO's form"


@BENCHMARKS.register("proposal-recall")
class ProposalRecall(Benchmark[BoxTruth]):
    """The boxes are the model's own, or those of --proposals; no question is asked."""

    name = "proposal-recall"
    description = "R@10 … R@300 of the proposals at IoU 0.5, 0.7 and 0.9"
    splits = ("real", "coco")
    layout = "annotations.json and its photos (real), or any COCO instances file and its images (coco)"
    home = Path("photos")

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an image that has things."""
        samples = photos(folder) if split == "real" else _of_coco(folder)
        return [sample for sample in samples if not sample.truth.crowd.all()]

    def ask(self, scene: Scene, sample: Sample[BoxTruth]) -> Prediction:
        """The proposals."""
        regions = scene.regions
        return {"boxes": regions.xyxy.tolist(), "scores": regions.scores.tolist()}

    def metric(self) -> Recall:
        """The share of true boxes, crowds left out."""
        return Recall()


class Recall:
    """R@N: the share of true boxes that one of an image's N best proposals overlaps by this IoU or more.

    A proposal may find several true boxes: a region can be named for more than one label.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self._found = np.zeros((len(OVERLAPS), len(COUNTS)), dtype=np.int64)
        self._things = self._proposals = self._images = 0

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        """Takes one sample; a failed one has no proposals."""
        self._found += found(sample.truth, prediction)
        self._things += int((~sample.truth.crowd).sum())
        self._proposals += 0 if prediction is None else len(prediction["boxes"])
        self._images += 1

    def compute(self) -> dict[str, float]:
        """All R@N, and how many proposals an image has: R@300 of a hundred proposals is their R@100."""
        shares = self._found / max(self._things, 1)
        figures = {
            f"R@{count} IoU {overlap}": float(shares[row, column])
            for row, overlap in enumerate(OVERLAPS)
            for column, count in enumerate(COUNTS)
        }
        return {**figures, "proposals per image": self._proposals / max(self._images, 1)}

    def score(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> float:
        """R@100 at IoU 0.5 of this image."""
        hits = found(sample.truth, prediction)[OVERLAPS.index(0.5), COUNTS.index(100)]
        return float(hits / max(int((~sample.truth.crowd).sum()), 1))


def found(truth: BoxTruth, prediction: Prediction | None) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """How many true boxes are found, (overlaps, counts)."""
    boxes = [] if prediction is None else prediction["boxes"]
    order = np.argsort(-np.array([] if prediction is None else prediction["scores"]), kind="stable")
    overlaps = iou(boxes, truth.xyxy[~truth.crowd])[order]
    best = [overlaps[:count].max(axis=0, initial=0.0) for count in COUNTS]
    return np.array([[(one >= overlap).sum() for one in best] for overlap in OVERLAPS], dtype=np.int64)


def _of_coco(folder: Path) -> list[Sample[BoxTruth]]:
    """The folder's one instances file, or COCO's own; images beside it, in images/ or in val2017/."""
    files = [folder / "annotations" / "instances_val2017.json"]
    if not files[0].is_file():
        files = sorted(folder.glob("*.json"))
    if len(files) != 1:
        held = ", ".join(file.name for file in files) or "none"
        raise BenchmarkError(
            f"{folder} must hold one JSON, {WHAT}, or annotations/instances_val2017.json; it holds {held}"
        )
    data = Instances.read(files[0], WHAT, {"file_name"})
    names = [str(image["file_name"]) for image in data.images]
    images = located(names, folder, (".", "images", "val2017"), files[0])
    return [
        Sample(str(image["id"]), path, data.truth(image, ()), size=(image["width"], image["height"]))
        for image, path in zip(data.images, images, strict=True)
    ]

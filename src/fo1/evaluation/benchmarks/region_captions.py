"""How would you describe this region? The objects of RefCOCOg, each with the phrases people found for it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from fo1.data.convert.problems import Problems
from fo1.data.convert.refcoco import read_refcoco
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.cider import cider
from fo1.evaluation.files import existing
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.meteor import meteor
from fo1.evaluation.region_truth import RegionTruth
from fo1.scene import Scene

WHAT = "RefCOCOg: refs(umd).p and instances.json"


@BENCHMARKS.register("refcocog-captions")
class RegionCaptions(Benchmark[RegionTruth]):
    """Truth: the number of a region, and its phrases. All described objects of an image are shown at once."""

    name = "refcocog-captions"
    description = "RefCOCOg: descriptions of given regions"
    splits = ("val", "test")
    layout = "refcocog/refs(umd).p, refcocog/instances.json and COCO's train2014/"
    keeps_boxes = True

    def open(self, folder: Path, split: str) -> list[Sample[RegionTruth]]:
        """One sample an object."""
        path = existing(folder / "refcocog" / "refs(umd).p", WHAT)
        images = existing(folder / "train2014", "COCO's train2014 images")
        problems = Problems()
        samples = []
        for found in read_refcoco(path, images, split, problems):
            phrases: dict[int, list[str]] = defaultdict(list)
            for phrase, (box,) in found.expressions:
                phrases[box].append(phrase)
            shown = sorted(phrases)
            boxes = found.boxes[shown]
            samples += [
                Sample(
                    f"{found.id}-{box}",
                    images / found.image.path,
                    RegionTruth(number, tuple(phrases[box])),
                    boxes,
                    size=found.image.size,
                )
                for number, box in enumerate(shown)
            ]
        missing = problems.places.get("missing image")
        if missing:
            raise BenchmarkError(
                f"{missing[0]} is not in {images}, nor are {len(missing) - 1} others; "
                "expected COCO's train2014"
            )
        return samples

    def ask(self, scene: Scene, sample: Sample[RegionTruth]) -> Prediction:
        """A brief description of the region."""
        return {"text": scene.describe(sample.truth.region)}

    def metric(self) -> CaptionMetric:
        """CIDEr-D and a METEOR-like score."""
        return CaptionMetric()


class CaptionMetric:
    """A failed sample said nothing. CIDEr is written × 1, so that a published 113 reads 1.13."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self._said: list[str] = []
        self._references: list[tuple[str, ...]] = []

    def update(self, sample: Sample[RegionTruth], prediction: Prediction | None) -> None:
        """Takes one sample."""
        self._said.append("" if prediction is None else str(prediction["text"]))
        self._references.append(sample.truth.texts)

    def compute(self) -> dict[str, float]:
        """Both figures."""
        several = list(zip(self._said, self._references, strict=True))
        scores = cider(self._said, self._references)
        count = max(len(several), 1)
        return {
            "CIDEr": sum(scores) / count,
            "METEOR-like": sum(meteor(said, right) for said, right in several) / count,
        }

    def score(self, sample: Sample[RegionTruth], prediction: Prediction | None) -> float:
        """The METEOR-like score: CIDEr is none of a single sample."""
        return 0.0 if prediction is None else meteor(str(prediction["text"]), sample.truth.texts)

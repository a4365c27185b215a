"""COCO detection: 5,000 images, each asked for all 80 classes."""

from __future__ import annotations

from pathlib import Path

from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.instances import Instances
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth


@BENCHMARKS.register("coco")
class Coco(BoxBenchmark):
    """COCO val2017 (Lin et al. 2014), AP of boxes as pycocotools has it.

    Every image is asked for all 80 classes, by their official names, whether they are there or not, in lists
    of 20. How long the lists of the released evaluation were is not known; 20 is our choice.
    """

    name = "coco"
    description = "COCO val2017: detection of 80 classes, AP"
    splits = ("val2017",)
    layout = "annotations/instances_val2017.json and the images in val2017/"
    chunk = 20

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an image."""
        path = folder / "annotations" / f"instances_{split}.json"
        data = Instances.read(path, "COCO's instances file", {"file_name"}, categories=80)
        files = located([image["file_name"] for image in data.images], folder, (split,), path)
        labels = list(data.names.values())
        return data.samples(files, [data.truth(image, labels) for image in data.images])

    def metric(self) -> AveragePrecision:
        """AP, AP50, AP75, by size; the 100 best boxes of an image count."""
        return AveragePrecision()

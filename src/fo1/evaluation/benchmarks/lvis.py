"""LVIS detection: 1,203 classes, of which each image decides about a few."""

from __future__ import annotations

from pathlib import Path

from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.evaluation.benchmarks.instances import Instances, Row
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth

FILES = {"val": "lvis_v1_val.json", "minival": "lvis_v1_minival_inserted_image_name.json"}
FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}


@BENCHMARKS.register("lvis")
class Lvis(BoxBenchmark):
    """LVIS v1 (Gupta et al. 2019), federated AP: an image says of a few classes only whether they are there.

    An image is asked for the classes it decides about: those of its objects, and its `neg_category_ids`, in
    lists of 20. Whatever else were found in it would count neither way. Unmatched boxes of classes in
    `not_exhaustive_category_ids` are forgiven. So a model need not turn down the other 1,100 classes; figures
    of models that were asked for all 1,203 are not quite the same thing.
    Class names are the file's, underscores as spaces.
    """

    name = "lvis"
    description = "LVIS v1: detection of 1,203 classes, federated AP"
    splits = tuple(FILES)
    layout = "lvis_v1_val.json, and COCO's images in val2017/ and train2017/"
    chunk = 20

    def __init__(self) -> None:
        self._groups: dict[str, str] = {}

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an image."""
        path = folder / FILES[split]
        keys = {"coco_url", "neg_category_ids", "not_exhaustive_category_ids"}
        data = Instances.read(path, "the instances of LVIS v1", keys, {"frequency"}, 1203)
        self._groups = {
            data.names[number]: FREQUENCIES[row["frequency"]] for number, row in data.categories.items()
        }
        # …/val2017/000000397133.jpg: LVIS draws from two folders of COCO
        files = located(["/".join(i["coco_url"].split("/")[-2:]) for i in data.images], folder, (".",), path)
        return data.samples(files, [_truth(data, image) for image in data.images])

    def metric(self) -> AveragePrecision:
        """AP, of all classes and, once opened, by their frequency; the 300 best boxes of an image count."""
        return AveragePrecision(300, self._groups)


def _truth(data: Instances, image: Row) -> BoxTruth:
    return data.truth(
        image,
        _named(data, image, "neg_category_ids"),
        _named(data, image, "not_exhaustive_category_ids"),
    )


def _named(data: Instances, image: Row, key: str) -> list[str]:
    unknown = [number for number in image[key] if number not in data.names]
    if unknown:
        raise BenchmarkError(
            f"{data.path}: {key} of image {image['id']} has {unknown[0]}, which is no category"
        )
    return [data.names[number] for number in image[key]]

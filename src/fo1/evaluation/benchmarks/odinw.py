"""ODinW-13: thirteen small detection sets, from drones to mushrooms."""

from __future__ import annotations

from pathlib import Path

from fo1.evaluation.average_precision import AveragePrecision
from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.grouped import Grouped
from fo1.evaluation.benchmarks.instances import Instances
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.files import existing
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth

SETS = {
    "AerialMaritimeDrone": "AerialMaritimeDrone/large",
    "Aquarium": "Aquarium/Aquarium Combined.v2-raw-1024.coco",
    "CottontailRabbits": "CottontailRabbits",
    "EgoHands": "EgoHands/generic",
    "NorthAmericaMushrooms": "NorthAmericaMushrooms/North American Mushrooms.v1-416x416.coco",
    "Packages": "Packages/Raw",
    "PascalVOC": "PascalVOC",
    "pistols": "pistols/export",
    "pothole": "pothole",
    "Raccoon": "Raccoon/Raccoon.v2-raw.coco",
    "ShellfishOpenImages": "ShellfishOpenImages/raw",
    "thermalDogsAndPeople": "thermalDogsAndPeople",
    "VehiclesOpenImages": "VehiclesOpenImages/416x416",
}
FOLDERS = {"val": "valid", "test": "test"}
ANNOTATIONS = "annotations_without_background.json"


@BENCHMARKS.register("odinw13")
class Odinw13(BoxBenchmark):
    """ODinW-13 (Li et al., GLIP, 2022): COCO's AP of each set, and the mean of the thirteen.

    The default split is `val`, which the configurations of GLIP and MMDetection test on. Each image is asked
    for all classes of its set at once, by the names in its file, without GLIP's hand-made descriptions.
    """

    name = "odinw13"
    description = "ODinW-13: detection in thirteen domains, mean AP"
    splits = tuple(FOLDERS)
    layout = f"the 13 sets as GLIP unpacks them, such as AerialMaritimeDrone/large/valid/{ANNOTATIONS}"

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an image, the sets one after the other."""
        paths = {name: annotation_file(folder, name, split) for name in SETS}
        for name, path in paths.items():
            existing(path, f"the {split} annotations of {name}, one of the 13 sets")
        return [sample for name, path in paths.items() for sample in _samples(name, path)]

    def metric(self) -> Grouped[BoxTruth]:
        """Each figure is the mean over the sets; AP is also shown for each."""
        return Grouped("AP", AveragePrecision)


def annotation_file(folder: Path, name: str, split: str) -> Path:
    """Where a set's annotations are. Pistols keep both splits in one folder, and VOC has no test set."""
    if name == "pistols":
        return folder / SETS[name] / f"{split}_{ANNOTATIONS}"
    return folder / SETS[name] / FOLDERS["val" if name == "PascalVOC" else split] / ANNOTATIONS


def _samples(name: str, path: Path) -> list[Sample[BoxTruth]]:
    data = Instances.read(path, f"the annotations of {name} in COCO's form", {"file_name"})
    files = located([image["file_name"] for image in data.images], path.parent, (".",), path)
    labels = list(data.names.values())
    return data.samples(files, [data.truth(image, labels) for image in data.images], name)

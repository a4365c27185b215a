"""What is this region? LVIS and PACO in the samples and with the protocol of Osprey (Yuan et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.files import read_json, rows_with
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.region_truth import RegionTruth
from fo1.evaluation.sentences import MeanPooling, SentenceEncoder, similarity, word_overlap
from fo1.prompts.vocabulary import region_name
from fo1.scene import Scene
from fo1.types import FloatArray

WHAT = "Osprey's list of images with their categories and annotations"
KEYS = ("file_name", "width", "height", "categories", "annotations")
QUESTION = "What is the category of {}? Using only one word or phrase."
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"  # the one Osprey's script scores with
_MARKS = str.maketrans(".:,_", "    ")


class RegionNames(Benchmark[RegionTruth]):
    """Truth: the number of a region, and what it is. All annotated regions of an image are shown at once.

    file: of the annotations. encoder: by default the folder `all-MiniLM-L6-v2` beside the annotations, else
    that model from the hub.
    """

    splits = ("val",)
    keeps_boxes = True

    def __init__(self, name: str, title: str, file: str, encoder: SentenceEncoder | None = None) -> None:
        self.name, self.file, self.encoder = name, file, encoder
        self.description = f"{title}: names of given regions"
        self.layout = f"{file} and COCO's train2017/ and val2017/"
        self._source: str | Path = ENCODER

    def open(self, folder: Path, split: str) -> list[Sample[RegionTruth]]:
        """One sample a region."""
        path = folder / self.file
        rows = rows_with(read_json(path, WHAT), KEYS, path, "images")
        names = [str(row["file_name"]) for row in rows]
        images = located(names, folder, (".", "val2017", "train2017"), path)
        beside = folder / Path(ENCODER).name
        self._source = beside if beside.is_dir() else ENCODER
        samples = []
        for row, image in zip(rows, images, strict=True):
            boxes = boxes_of(row, path)
            samples += [
                Sample(
                    f"{Path(row['file_name']).stem}-{number}",
                    image,
                    RegionTruth(number, (tidy(str(name)),)),
                    boxes,
                    size=(row["width"], row["height"]),
                )
                for number, name in enumerate(row["categories"])
            ]
        return samples

    def ask(self, scene: Scene, sample: Sample[RegionTruth]) -> Prediction:
        """The model's words for the region."""
        question = QUESTION.format(region_name(sample.truth.region))
        return {"text": scene.ask(question, max_new_tokens=24)}

    def metric(self) -> Names:
        """Semantic similarity and overlap of words."""
        return Names(self.encoder or MeanPooling(self._source))


class Names(Averages[RegionTruth]):
    """SS: cosine of what was said and what it is. S-IoU: words in both over words in either."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self._rows: dict[str, FloatArray] = {}

    def figures(self, sample: Sample[RegionTruth], prediction: Prediction | None) -> dict[str, float]:
        """A failed sample, and one without a word, have nothing in common with the truth."""
        said = "" if prediction is None else said_name(prediction["text"])
        (truth,) = sample.truth.texts
        near = similarity(self._row(said), self._row(truth)) if said else 0.0
        return {"S-IoU": word_overlap(said, truth), "SS": near}

    def _row(self, phrase: str) -> FloatArray:
        if phrase not in self._rows:
            self._rows[phrase] = self.encoder([phrase])[0]
        return self._rows[phrase]


def tidy(name: str) -> str:
    """A category as Osprey's script reads it: "jar:lid" → "jar lid"."""
    return " ".join(name.translate(_MARKS).split()).lower()


def said_name(text: str) -> str:
    """What was said, as Osprey's script reads it: what follows a colon, without marks."""
    _, colon, after = text.partition(":")
    return tidy(after.split(":")[0] if colon else text)


def boxes_of(row: Mapping[str, Any], path: Path) -> FloatArray:
    """(N, 4) xyxy of an image's annotations, one for each category."""
    boxes = [_box(annotation) for annotation in row["annotations"]]
    if None in boxes or len(boxes) != len(row["categories"]):
        raise BenchmarkError(
            f"{path}, image {row['file_name']}: expected an annotation with a bbox [x, y, width, height], or "
            "polygons, for each category"
        )
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)


def _box(annotation: Mapping[str, Any]) -> tuple[float, ...] | None:
    if "bbox" in annotation:
        x, y, width, height = annotation["bbox"]
        return x, y, x + width, y + height
    outline = annotation.get("segmentation")
    return _around(outline) if isinstance(outline, list) and outline else None


def _around(polygons: Iterable[Iterable[float]]) -> tuple[float, ...]:
    points = np.concatenate([np.reshape(list(polygon), (-1, 2)) for polygon in polygons])
    return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())


@BENCHMARKS.register("lvis-regions")
def lvis_regions() -> RegionNames:
    """1,000 images of LVIS with 4,004 objects."""
    return RegionNames("lvis-regions", "LVIS", "lvis_val_1k_category.json")


@BENCHMARKS.register("paco-regions")
def paco_regions() -> RegionNames:
    """1,000 images of PACO with 4,263 objects and parts."""
    return RegionNames("paco-regions", "PACO", "paco_val_1k_category.json")

"""CountBench and PixMo-Count as the released evaluation has them: questions, numbers and UPN proposals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.files import read_json, rows_with
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.prompts.parsing import Answer, named_regions
from fo1.scene import Scene

WHAT = 'a list of {"question", "answer", "image", "bboxes"}'
KEYS = ("question", "answer", "image", "bboxes")
_THING = re.compile(r"How many (.+?)(?: are there)?(?: in (?:the|this) image)?\?", re.S)
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Count:
    """How many of what. question: as the benchmark words it. thing: what it asks for, in a few words."""

    question: str
    thing: str
    number: int


class Counting(Benchmark[Count]):
    """One counting benchmark. file: of its annotations."""

    splits = ("test",)

    def __init__(self, name: str, title: str, file: str) -> None:
        self.name, self.file = name, file
        self.description = f"{title}: how many there are"
        self.layout = f"{file} and its images, beside it or in images/"

    def open(self, folder: Path, split: str) -> list[Sample[Count]]:
        """One sample a question, with the proposals that come with it."""
        path = folder / self.file
        rows = rows_with(read_json(path, WHAT), KEYS, path, "questions")
        images = located([str(row["image"]) for row in rows], folder, (".", "images"), path)
        return [
            Sample(
                f"{number}-{row['image']}",
                image,
                _count(row["question"], row["answer"], f"{path}, entry {number}"),
                np.array(row["bboxes"], dtype=np.float32).reshape(-1, 4),
                np.array(row["scores"], dtype=np.float32) if row.get("scores") else None,
            )
            for number, (row, image) in enumerate(zip(rows, images, strict=True))
        ]

    def ask(self, scene: Scene, sample: Sample[Count]) -> Prediction:
        """What the model writes to the question, or, if it points instead, the regions it finds."""
        truth = sample.truth
        if scene.model.splice.pointer is None:
            text = scene.ask(truth.question, max_new_tokens=len(scene.regions) + 48)
            known = {number for number in named_regions(text) if number < len(scene.regions)}
            return {"text": text, "regions": sorted(known)}
        return {"text": "", "regions": scene.locate(truth.thing).regions.tolist()}

    def metric(self) -> Counts:
        """Exact counts, counts within one, mean absolute error."""
        return Counts()


class Counts(Averages[Count]):
    """The counts' figures; a failed sample counted nothing."""

    def figures(self, sample: Sample[Count], prediction: Prediction | None) -> dict[str, float]:
        """The number the answer ends with, or, if it has none, how many regions it names."""
        said = 0 if prediction is None else counted(prediction["text"], len(prediction["regions"]))
        error = abs(said - sample.truth.number)
        right = prediction is not None
        return {
            "accuracy": float(right and error == 0),
            "within one": float(right and error <= 1),
            "mean absolute error": float(error),
        }


def counted(text: str, regions: int) -> int:
    """The number an answer ends with, after its last list of regions; without any, how many it names."""
    numbers = _NUMBER.findall(Answer(text.rpartition("</objects>")[2]).plain)
    return int(numbers[-1]) if numbers else regions


def _count(question: str, answer: object, place: str) -> Count:
    thing = _THING.match(question)
    if thing is None or not isinstance(answer, int):
        raise BenchmarkError(f'{place}: expected a question "How many …?" with a whole number for answer')
    return Count(question, " ".join(thing[1].split()), answer)


@BENCHMARKS.register("countbench")
def countbench() -> Counting:
    """CountBench (Paiss et al. 2023): 487 images of two to ten things."""
    return Counting("countbench", "CountBench", "countbench_with_upn_score_0.3_0.8.json")


@BENCHMARKS.register("pixmo-count")
def pixmo_count() -> Counting:
    """PixMo-Count's test set (Deitke et al. 2024)."""
    return Counting("pixmo-count", "PixMo-Count", "pixmoCount_with_upn_score_0.3_0.8.json")

"""What is written here? Legible text regions of COCO-Text (Veit et al. 2016)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.files import read_json
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.region_truth import RegionTruth
from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import region_name
from fo1.scene import Scene

FILE = "cocotext.v2.json"
WHAT = 'COCO-Text 2.0, with "imgs" and "anns"'


@BENCHMARKS.register("coco-text")
class CocoText(Benchmark[RegionTruth]):
    """Truth: the number of a region, and what is written there. An image's text regions are shown at once."""

    name = "coco-text"
    description = "COCO-Text: what is written in given regions"
    splits: tuple[str, ...] = ("val", "train")
    layout = f"{FILE} and COCO's train2014/"
    keeps_boxes = True

    def open(self, folder: Path, split: str) -> list[Sample[RegionTruth]]:
        """One sample a legible text that somebody wrote down; the others are shown and not asked about."""
        path = folder / FILE
        data = read_json(path, WHAT)
        if not isinstance(data, dict) or not all(isinstance(data.get(key), dict) for key in ("imgs", "anns")):
            raise BenchmarkError(f"{path}: expected {WHAT}; is it another version?")
        texts: dict[str, list[dict[str, object]]] = {}
        for annotation in data["anns"].values():
            texts.setdefault(str(annotation.get("image_id")), []).append(annotation)
        rows = [r for r in data["imgs"].values() if r.get("set") == split and str(r.get("id")) in texts]
        images = located([str(row["file_name"]) for row in rows], folder, ("train2014", "."), path)
        samples = []
        for row, image in zip(rows, images, strict=True):
            regions = texts[str(row["id"])]
            xywh = np.array([region["bbox"] for region in regions], dtype=np.float32).reshape(-1, 4)
            boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
            size = (int(row["width"]), int(row["height"]))
            samples += [
                Sample(
                    f"{row['id']}-{region['id']}", image, RegionTruth(number, (written,)), boxes, size=size
                )
                for number, region in enumerate(regions)
                if (written := _written(region))
            ]
        return samples

    def ask(self, scene: Scene, sample: Sample[RegionTruth]) -> Prediction:
        """What the model reads there."""
        question = TASKS["read"].fill(region_name(sample.truth.region))
        return {"text": scene.ask(question)}

    def metric(self) -> Reading:
        """Accuracy."""
        return Reading()


class Reading(Averages[RegionTruth]):
    """The share of texts read right. The paper does not say which marks it forgives; these are both ways.

    accuracy: letter case and white space do not matter. letters and digits: nothing else does.
    characters: 1 − the edit distance as a share of the longer text, but for case and white space.
    """

    def figures(self, sample: Sample[RegionTruth], prediction: Prediction | None) -> dict[str, float]:
        """A failed sample read nothing."""
        said = "" if prediction is None else str(prediction["text"])
        (truth,) = sample.truth.texts
        return {
            "accuracy": float(plain(said) == plain(truth)),
            "letters and digits": float(letters(said) == letters(truth) != ""),
            "characters": similarity(plain(said), plain(truth)),
        }


def plain(text: str) -> str:
    """Lower case, single spaces."""
    return " ".join(text.casefold().split())


def letters(text: str) -> str:
    """Letters and digits alone."""
    return "".join(filter(str.isalnum, text.casefold()))


def similarity(one: str, other: str) -> float:
    """1 − Levenshtein's distance as a share of the longer text: 1 for equal ones, 0 for nothing in common."""
    # Of what was read of `one` so far from each beginning of `other`.
    distances = list(range(len(other) + 1))
    for row, here in enumerate(one, start=1):
        before, distances[0] = distances[0], row
        for column, there in enumerate(other, start=1):
            changed = before + (here != there)
            before = distances[column]
            distances[column] = min(changed, before + 1, distances[column - 1] + 1)
    longer = max(len(one), len(other))
    return 1 - distances[-1] / longer if longer else 1.0


def _written(region: dict[str, object]) -> str:
    """The text of a region; empty if it is illegible, or nobody wrote it down."""
    return str(region.get("utf8_string") or "").strip() if region.get("legibility") == "legible" else ""

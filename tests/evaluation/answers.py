"""Hand-made answers and truths for the tests of evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.files import read_json
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import f1
from fo1.evaluation.truth import BoxTruth
from fo1.pipeline import FO1
from fo1.settings import Settings
from tiny import picture, region_model

SIZE = (200, 100)


def grounded(
    boxes: Sequence[Sequence[float]],
    scores: Mapping[str, Sequence[float]],
    proposer: Sequence[float] | None = None,
    threshold: float = 0.5,
) -> Grounded:
    """An answer in which every region is a thing of its own."""
    rows = {label: np.array(row, dtype=np.float32) for label, row in scores.items()}
    ranked = {label: tuple(np.argsort(-row, kind="stable").tolist()) for label, row in rows.items()}
    return Grounded(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        SIZE,
        np.array([1.0] * len(boxes) if proposer is None else proposer, dtype=np.float32),
        rows,
        ranked,
        {label: tuple(r for r in ranked[label] if row[r] >= threshold) for label, row in rows.items()},
    )


def sample(truth: BoxTruth, name: str = "one") -> Sample[BoxTruth]:
    """A sample whose image nobody opens."""
    return Sample(name, Image.new("RGB", SIZE), truth)


class MeanF1:
    """A small metric, and one figure that depends on the confidence."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.values: list[float] = []
        self.best = 0.0

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        self.values.append(self.score(sample, prediction))
        for label in sample.truth.labels if prediction is not None else ():
            self.best = max(self.best, *Grounded.of_json(prediction).boxes(label)[1], 0.0)

    def compute(self) -> dict[str, float]:
        return {"F1": float(np.mean(self.values)), "best": self.best, "never": float("nan")}

    def score(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> float:
        return f1(prediction, sample.truth)


class Tiles(BoxBenchmark):
    """A folder of pictures whose left upper quarter is called "tile"; four pictures, two questions each."""

    name, description, splits, layout = "tiles", "Quarters of pictures.", ("val", "test"), "tiles.json"

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        names = read_json(folder / "tiles.json", "a list of pictures")
        return [
            Sample(f"{split}/{name}/{label}", folder / name, quarter(label), size=(80, 60))
            for name in names
            for label in ("tile", "dog")
        ]

    def metric(self) -> MeanF1:
        return MeanF1()


def quarter(label: str) -> BoxTruth:
    """The left upper quarter of an 80 × 60 picture; no dog is there."""
    return BoxTruth.by_label({"tile": [[0, 0, 40, 30]]} if label == "tile" else {}, [label])


def tiles(folder: Path, count: int = 4) -> Path:
    """Writes the files of `Tiles`."""
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        picture(number).save(folder / name)
    (folder / "tiles.json").write_text(json.dumps(names))
    return folder


def tiny_model(**options: Any) -> FO1:
    """Random weights; reports what scores ½ or more."""
    return FO1(region_model(**options), Settings("tiny", threshold=0.5))

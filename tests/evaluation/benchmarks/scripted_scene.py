"""A scene that answers what a test wants, and files of benchmarks in miniature."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from PIL import Image

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.evaluation.benchmark import Benchmark, Sample
from fo1.findings import Findings
from fo1.scene import Scene
from fo1.settings import Settings
from fo1.types import Regions

SIZE = (200, 100)  # of every image
Boxes = Sequence[Sequence[float]]
Scores = Mapping[str, Sequence[float]]


class ScriptedScene(Scene):
    """Scores of its boxes by label; 0 for a label without any. asked: each question's labels."""

    def __init__(self, boxes: Boxes, scores: Scores, threshold: float = 0.5) -> None:
        encoded = SimpleNamespace(regions=Regions.of(boxes, SIZE))
        scores_regions = SimpleNamespace(splice=SimpleNamespace(pointer="scores them"))
        super().__init__(cast(Any, scores_regions), Settings("scripted", threshold), cast(Any, encoded), {})
        self.scores = {label: np.array(row, dtype=np.float32) for label, row in scores.items()}
        self.asked: list[list[str]] = []

    def detect(self, labels: str | Sequence[str], threshold: float | None = None, *_: Any) -> Findings:
        """Every region whose score is above 0 and not below the threshold."""
        least = self.settings.threshold if threshold is None else threshold
        asked = [labels] if isinstance(labels, str) else list(labels)
        self.asked.append(asked)
        rows = {label: self.scores.get(label, np.zeros(len(self.regions), np.float32)) for label in asked}
        found = [
            Detection(label, tuple(self.regions.xyxy[region].tolist()), float(row[region]), int(region))
            for label, row in rows.items()
            for region in np.argsort(-row, kind="stable")
            if row[region] > 0 and row[region] >= least
        ]
        plain = Detections.of(found, SIZE)
        return Findings(
            plain.xyxy, plain.scores, plain.labels, plain.regions, plain.image_size, confidence=rows
        )


Script = Mapping[str, tuple[Boxes, Scores] | None]


def figures(benchmark: Benchmark[Any], samples: Iterable[Sample[Any]], script: Script) -> dict[str, float]:
    """What the metric makes of the scripted answers, by sample id; None is a failed sample."""
    metric = benchmark.metric()
    for sample in samples:
        said = script[sample.id]
        prediction = None if said is None else benchmark.ask(ScriptedScene(*said), sample)
        metric.update(sample, json.loads(json.dumps(prediction)))
    return metric.compute()


def write_json(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def draw(*paths: Path) -> None:
    """Images of `SIZE`."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, "gray").save(path)


def image(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": f"{number:012}.jpg",
        "width": SIZE[0],
        "height": SIZE[1],
        "license": 1,
        **more,
    }


def thing(number: int, on: int, category: int, bbox: Sequence[float], **more: Any) -> dict[str, Any]:
    """An annotation; bbox is x, y, width, height."""
    return {
        "id": number,
        "image_id": on,
        "category_id": category,
        "bbox": list(bbox),
        "area": bbox[2] * bbox[3],
        "iscrowd": 0,
        "segmentation": [],
        **more,
    }


def categories(names: Sequence[str], upto: int, **more: Any) -> list[dict[str, Any]]:
    """With these names and then others, `upto` in all."""
    filled = [*names, *(f"kind_{number}" for number in range(len(names), upto))]
    return [
        {"id": number, "name": name, "supercategory": "x", **more}
        for number, name in enumerate(filled, start=1)
    ]

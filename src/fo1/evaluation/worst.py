"""The page of worst cases: what was asked, what is true and what the model said, with drawn boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from fo1.detection import Detection
from fo1.detections import Detections
from fo1.drawing import draw, name_and_score, one_line
from fo1.errors import ImageError
from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.predictions import PredictionFile
from fo1.evaluation.truth import BoxTruth
from fo1.images import load_image

SIDE = 900  # pixels of a picture's longer side
LONGEST = 600  # characters of an answer
TRUE = "true: "


@dataclass(frozen=True)
class Case:
    """A sample and its score, 0 to 1."""

    score: float
    sample: Sample[Any]


def write_page(folder: Path, cases: Sequence[Case], kept: PredictionFile) -> None:
    """worst.md, and its pictures in worst/."""
    pictures = folder / "worst"
    pictures.mkdir(exist_ok=True)
    lines = ["# Worst cases", "", "Boxes marked “true” are what should have been found."]
    for number, case in enumerate(cases, start=1):
        prediction = kept[case.sample.id].prediction
        if prediction is None:
            continue
        lines += ["", f"## {case.sample.id}: {case.score:.3g}", ""]
        try:
            _picture(case.sample, prediction).save(pictures / f"{number:02}.png")
            lines += [f"![{number}](worst/{number:02}.png)"]
        except ImageError as error:  # it was there when the model looked
            lines += [str(error)]
        if not isinstance(case.sample.truth, BoxTruth):
            lines += ["", f"    truth:  {_short(repr(case.sample.truth))}"]
            lines += [f"    answer: {_short(json.dumps(prediction, ensure_ascii=False))}"]
    (folder / "worst.md").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")


def _picture(sample: Sample[Any], prediction: Prediction) -> Image.Image:
    image = load_image(sample.image)
    size = image.size
    image.thumbnail((SIDE, SIDE))
    if not isinstance(sample.truth, BoxTruth):
        return image
    return draw(image, _boxes(sample.truth, Grounded.of_json(prediction), size), _chip)


def _boxes(truth: BoxTruth, answer: Grounded, size: tuple[int, int]) -> Detections:
    """What the model reports, and what is true."""
    rows = [Detection(TRUE + name, _corners(box)) for name, box in zip(truth.names, truth.xyxy, strict=True)]
    for label in truth.labels:
        found = zip(*answer.reported(label), strict=True)
        rows += [Detection(label, _corners(box), float(score)) for box, score in found]
    return Detections.of(rows, size)


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return x1, y1, x2, y2


def _chip(found: Detection) -> str:
    return one_line(found.label) if found.label.startswith(TRUE) else name_and_score(found)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"

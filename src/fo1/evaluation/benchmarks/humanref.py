"""HumanRef: all the people a phrase means, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fo1.boxes import claims, iou
from fo1.evaluation.averages import Averages
from fo1.evaluation.benchmark import BenchmarkError, Prediction, Sample
from fo1.evaluation.benchmarks.instances import tidy
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.files import read_json_lines, rows_with
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray

KEYS = ("id", "image_name", "referring", "domain", "answer_boxes", "candidate_boxes")
DOMAINS = ("attribute", "position", "interaction", "reasoning", "celebrity")
REJECTION = "rejection"
THRESHOLDS = np.arange(0.5, 1.0, 0.05)
NAN = float("nan")


@BENCHMARKS.register("humanref")
class HumanRef(BoxBenchmark):
    """HumanRef (Jiang et al., RexSeek, arXiv 2503.08507): 6,000 expressions in six domains, one of them for
    people who are not there. Each is a question worded as detection is; the answer is what the model reports.
    """

    name = "humanref"
    description = "HumanRef: all the people a phrase means, or none; DF1"
    splits = ("test",)
    layout = "annotations.jsonl and the images in images/"

    def open(self, folder: Path, split: str) -> list[Sample[BoxTruth]]:
        """One sample an expression; the truth of a rejection has no boxes."""
        path = folder / "annotations.jsonl"
        rows = rows_with(read_json_lines(path, "HumanRef's expressions"), KEYS, path, "expressions")
        files = located([str(row["image_name"]) for row in rows], folder, ("images",), path)
        places = [f"{path}: expression {row['id']}" for row in rows]
        return [self._sample(*one) for one in zip(rows, files, places, strict=True)]

    def _sample(self, row: Mapping[str, Any], file: Path, place: str) -> Sample[BoxTruth]:
        domain, boxes = row["domain"], _boxes(row["answer_boxes"], place)
        if domain not in (*DOMAINS, REJECTION) or (domain == REJECTION) == bool(len(boxes)):
            raise BenchmarkError(
                f"{place} of domain {domain!r} has {len(boxes)} boxes; expected none in {REJECTION} "
                f"and some in {', '.join(DOMAINS)}"
            )
        truth = BoxTruth.by_label({tidy(row["referring"]): boxes})
        regions = _boxes(row["candidate_boxes"], place) if self.keeps_boxes else None
        return Sample(f"{domain}/{row['id']}", file, truth, regions)

    def metric(self) -> DensityF1:
        """DF1, precision and recall of what is there; rejection of what is not."""
        return DensityF1()


@BENCHMARKS.register("humanref-candidates")
class HumanRefCandidates(HumanRef):
    """HumanRef with the annotated people of the image as regions, as RexSeek's own evaluation has it, instead
    of what a proposer finds. Which of the two is behind the figures of others, they mostly do not say.
    """

    name = "humanref-candidates"
    description = "HumanRef, choosing among the annotated people; DF1"
    keeps_boxes = True


class DensityF1(Averages[BoxTruth]):
    """As RexSeek's metric/recall_precision_densityf1.py has it, every figure from 0 to 1.

    Of one expression, at one IoU, with M of P boxes matched to the G true ones: recall is M/G, precision M/P,
    and DF1 their F1 times min(1, G/P), so that naming everybody does not pay. Each is the mean over IoU
    0.5 … 0.95, then over the expressions that mean someone; `@0.5` is that IoU alone. rejection: the share of
    the others whose answer is empty.
    """

    def figures(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> dict[str, float]:
        """All but rejection are NaN for a rejection, and it for all others."""
        truth = sample.truth.xyxy
        found = np.zeros((0, 4), np.float32)
        if prediction is not None:
            found, _ = Grounded.of_json(prediction).reported(sample.truth.labels[0])
        domain = sample.id.split("/")[0]
        scores = [_density(matched(found, truth, least), len(found), len(truth)) for least in THRESHOLDS]
        there = domain != REJECTION
        figures = {}
        for place, name in enumerate(("DF1", "precision", "recall")):
            figures[name] = float(np.mean([score[place] for score in scores])) if there else NAN
            figures[f"{name}@0.5"] = scores[0][place] if there else NAN
        figures |= {f"DF1 {name}": figures["DF1"] if name == domain else NAN for name in DOMAINS}
        refused = float(prediction is not None and not len(found))
        return figures | {REJECTION: NAN if there else refused}

    def score(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> float:
        """DF1, or whether the answer was rightly empty."""
        figures = self.figures(sample, prediction)
        return figures["DF1"] if len(sample.truth.xyxy) else figures[REJECTION]


def matched(found: FloatArray, truth: FloatArray, threshold: float) -> int:
    """How many true boxes are found: each in turn takes the best box that is free (as RexSeek's script)."""
    return int((claims(iou(truth, found), threshold) >= 0).sum())


def _density(hits: int, found: int, true: int) -> tuple[float, float, float]:
    """DF1, precision, recall."""
    if not hits:
        return 0.0, 0.0, 0.0
    precision, recall = hits / found, hits / true
    return 2 * precision * recall / (precision + recall) * min(1.0, true / found), precision, recall


def _boxes(rows: object, place: str) -> FloatArray:
    try:
        boxes = np.array(rows, dtype=np.float32)
        return boxes.reshape(-1, 4) if boxes.size else np.zeros((0, 4), np.float32)
    except (TypeError, ValueError) as error:
        raise BenchmarkError(f"{place} has boxes that are not [x1, y1, x2, y2]: {error}") from error

"""`AveragePrecision`: COCO's AP and LVIS's federated AP, by faster-coco-eval (the extra `eval`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fo1.evaluation.benchmark import Prediction, Sample
from fo1.evaluation.extras import extra
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.matching import f1
from fo1.evaluation.truth import BoxTruth
from fo1.types import FloatArray

Row = dict[str, Any]
SIZES = ("", "small", "medium", "large")  # the library's area ranges, in its order: COCO's 32² and 96²


class AveragePrecision:
    """A `Metric` of ranked boxes: AP over IoU 0.5 … 0.95, AP50, AP75, by size, and AR; all from 0 to 1.

    per_image: only so many best boxes of an image count, of all labels together: 100 for COCO, 300 for LVIS.
    groups: label → group; `AP GROUP` is the mean over its labels (LVIS's r, c and f).

    Boxes of labels that a sample's truth does not judge are left out, and unmatched ones of its `partial`
    labels forgiven: on LVIS this is federated AP, where every label is judged and none partial it is COCO's.
    Raises `Fo1Error` if the library is missing.
    """

    def __init__(self, per_image: int = 100, groups: Mapping[str, str] | None = None) -> None:
        self.per_image, self.groups = per_image, dict(groups or {})
        self._library = extra("faster_coco_eval")  # found missing now, not after hours of asking
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self._samples: list[tuple[BoxTruth, _Ranked]] = []

    def update(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> None:
        """A failed sample has found nothing."""
        self._samples.append((sample.truth, _Ranked.of(prediction, sample.truth.labels, self.per_image)))

    def score(self, sample: Sample[BoxTruth], prediction: Prediction | None) -> float:
        """F1 at IoU 0.5 of what the model reports: AP of one image says little."""
        return f1(prediction, sample.truth)

    def compute(self) -> dict[str, float]:
        """NaN where there is no true box."""
        labels = sorted({label for truth, _ in self._samples for label in truth.labels})
        if not any(len(truth.names) for truth, _ in self._samples):
            return {name: float("nan") for name in self._names()}
        precision, recall = self._evaluate(labels)
        ap50, ap75 = precision[0], precision[5]
        values = [_mean(precision[..., 0]), _mean(ap50[..., 0]), _mean(ap75[..., 0])]
        values += [_mean(precision[..., size]) for size in (1, 2, 3)]
        values += [_mean(recall[..., 0])]
        for group in self._groups():
            members = [i for i, label in enumerate(labels) if self.groups.get(label) == group]
            values.append(_mean(precision[:, :, members, 0]))
        return dict(zip(self._names(), values, strict=True))

    def _groups(self) -> list[str]:
        return sorted(set(self.groups.values()))

    def _names(self) -> list[str]:
        return [
            *("AP", "AP50", "AP75"),
            *(f"AP {size}" for size in SIZES[1:]),
            f"AR@{self.per_image}",
            *(f"AP {group}" for group in self._groups()),
        ]

    def _evaluate(self, labels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision (IoU, recall, label, size) and recall (IoU, label, size); -1 where there is no thing."""
        ids = {label: number for number, label in enumerate(labels, start=1)}
        truths = self._library.COCO(self._truths(ids))
        found = truths.loadRes(
            [row for number, (_, ranked) in enumerate(self._samples) for row in ranked.rows(ids, number)]
        )
        judge = self._library.COCOeval_faster(
            truths, found, iouType="bbox", lvis_style=True, print_function=_quiet
        )
        judge.params.maxDets = [self.per_image]
        judge.evaluate()
        judge.accumulate()
        shape = len(judge.params.iouThrs), len(judge.params.recThrs), len(labels), len(SIZES)
        precision = np.asarray(judge.eval["precision"]).reshape(shape)
        return precision, np.asarray(judge.eval["recall"]).reshape(shape[0], *shape[2:])

    def _truths(self, ids: Mapping[str, int]) -> Row:
        images: list[Row] = []
        annotations: list[Row] = []
        for number, (truth, _) in enumerate(self._samples):
            images.append(
                {
                    "id": number,
                    "neg_category_ids": [ids[label] for label in truth.labels],
                    "not_exhaustive_category_ids": [ids[label] for label in truth.partial],
                }
            )
            rows = zip(truth.xyxy, truth.names, truth.areas, truth.crowd, strict=True)
            annotations += [
                {
                    "id": len(annotations) + place,
                    "image_id": number,
                    "category_id": ids[name],
                    "bbox": _xywh(box),
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
                for place, (box, name, area, crowd) in enumerate(rows, start=1)
            ]
        categories = [{"id": number, "name": label, "frequency": "f"} for label, number in ids.items()]
        return {"images": images, "annotations": annotations, "categories": categories}


class _Ranked:
    """The best boxes of one image, of all its labels; R of them, best first.

    xyxy: (R, 4). scores: (R,). labels: R.
    """

    def __init__(self, xyxy: FloatArray, scores: FloatArray, labels: list[str]) -> None:
        self.xyxy, self.scores, self.labels = xyxy, scores, labels

    @classmethod
    def of(cls, prediction: Prediction | None, labels: Sequence[str], limit: int) -> _Ranked:
        if prediction is None:
            return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), [])
        answer = Grounded.of_json(prediction)
        found = [(label, *answer.boxes(label)) for label in labels]
        xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(boxes for _, boxes, _ in found)])
        scores = np.concatenate([np.zeros(0, np.float32), *(scores for _, _, scores in found)])
        names = [label for label, boxes, _ in found for _ in boxes]
        best = np.argsort(-scores, kind="stable")[:limit]
        return cls(xyxy[best], scores[best], [names[i] for i in best])

    def rows(self, ids: Mapping[str, int], image: int) -> list[Row]:
        """As COCO's result file has them."""
        return [
            {"image_id": image, "category_id": ids[label], "bbox": _xywh(box), "score": float(score)}
            for box, score, label in zip(self.xyxy, self.scores, self.labels, strict=True)
        ]


def _xywh(box: FloatArray) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _mean(values: NDArray[np.float64]) -> float:
    """Of what there is; the library marks labels without true boxes by -1."""
    there = values[values > -1]
    return float(there.mean()) if there.size else float("nan")


def _quiet(*_: object) -> None:
    """The library's progress goes nowhere."""

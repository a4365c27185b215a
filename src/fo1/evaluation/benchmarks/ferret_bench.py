"""Ferret-Bench (You et al. 2023): free answers about given regions, rated by a judge model.

Without a judge the run keeps the answers, and `write_answers` writes them as Ferret's scripts do. With one,
the figure is Ferret's: it reads the context, the question, the reference answer and ours, and rates both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fo1.data.convert.files import upright_size
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Prediction, Sample
from fo1.evaluation.files import read_json, read_json_lines, rows_with
from fo1.evaluation.known import BENCHMARKS
from fo1.evaluation.pictures import located
from fo1.prompts.vocabulary import region_name
from fo1.scene import Scene

Judge: TypeAlias = Callable[[str], str]
"""A chat model: what it is asked → its review, whose first line is the two ratings, 1 to 10 each."""

_BOX = re.compile(r"\[\s*(\d*\.?\d+(?:\s*,\s*\d*\.?\d+){3})\s*\]")
_RATINGS = re.compile(r"\s*(\d+(?:\.\d+)?)[\s,]+(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class FerretQuestion:
    """question: as Ferret words it, with boxes. asked: with names of regions instead.

    context, reference, rule: what a judge reads beside the answer.
    """

    number: int
    category: str
    question: str
    asked: str
    context: str
    reference: str
    rule: str

    def for_judge(self, answer: str) -> str:
        """What the judge is asked about an answer to this question."""
        answers = "".join(
            f"[Assistant {place}]\n{text}\n\n[End of Assistant {place}]\n\n"
            for place, text in ((1, self.reference), (2, answer))
        )
        return (
            f"[Context]\n{self.context}\n\n[Question]\n{self.question}\n\n{answers}[System]\n{self.rule}\n\n"
        )


@BENCHMARKS.register("ferret-bench")
class FerretBench(Benchmark[FerretQuestion]):
    """judge: None keeps the answers for one. An installed package can register one that has a judge."""

    name = "ferret-bench"
    description = "Ferret-Bench: questions about regions, for a judge model"
    splits = ("refer_reason", "refer_caption")
    layout = "rule.json, refer_reason/ and refer_caption/ (question, context, answer .jsonl), COCO's val2017/"
    keeps_boxes = True

    def __init__(self, judge: Judge | None = None) -> None:
        self.judge = judge

    def open(self, folder: Path, split: str) -> list[Sample[FerretQuestion]]:
        """One sample a question; its boxes are the regions, in order."""
        path = folder / split / "question.jsonl"
        rows = _rows(path, ("question_id", "image", "category", "text"))
        contexts = {
            row["image"]: row["text"] for row in _rows(path.with_name("context.jsonl"), ("image", "text"))
        }
        answers = _rows(path.with_name("answer.jsonl"), ("question_id", "text"))
        references = {row["question_id"]: row["text"] for row in answers}
        rules = read_json(folder / "rule.json", "Ferret's rules for the judge")
        images = located([str(row["image"]) for row in rows], folder, ("val2017", "."), path)
        samples = []
        for row, image in zip(rows, images, strict=True):
            number, category = row["question_id"], row["category"]
            if category not in rules or number not in references or row["image"] not in contexts:
                raise BenchmarkError(
                    f"{path}, question {number}: expected a rule for {category!r} in rule.json, and "
                    "an answer and a context in the files beside"
                )
            asked, boxes = with_regions(row["text"])
            size = upright_size(image)
            truth = FerretQuestion(
                number,
                category,
                row["text"],
                asked,
                contexts[row["image"]],
                references[number],
                rules[category]["prompt"],
            )
            samples.append(Sample(f"{split}-{number}", image, truth, boxes * np.array(size * 2, np.float32)))
        return samples

    def ask(self, scene: Scene, sample: Sample[FerretQuestion]) -> Prediction:
        """A line of Ferret's answer file."""
        truth = sample.truth
        return {
            "question_id": truth.number,
            "category": truth.category,
            "prompt": truth.question,
            "text": scene.ask(truth.asked, max_new_tokens=256),
        }

    def metric(self) -> Ratings:
        """Ratings, if there is a judge."""
        return Ratings(self.judge)


class Ratings:
    """answered: the share of questions with any answer. relative score: our mean rating over the reference's.

    A failed sample is rated 0.
    """

    def __init__(self, judge: Judge | None) -> None:
        self.judge = judge
        self._reviews: dict[str, tuple[float, float]] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets all samples; what the judge said of an answer is kept."""
        self._answered: list[bool] = []
        self._ratings: list[tuple[float, float]] = []

    def update(self, sample: Sample[FerretQuestion], prediction: Prediction | None) -> None:
        """Takes one sample."""
        self._answered.append(bool(_text(prediction)))
        if self.judge is not None:
            self._ratings.append(self._rated(self.judge, sample.truth, prediction))

    def compute(self) -> dict[str, float]:
        """Without a judge there is no score."""
        figures = {"answered": sum(self._answered) / max(len(self._answered), 1)}
        if self._ratings:
            reference, mine = np.mean(self._ratings, axis=0)
            figures["relative score"] = float(mine / reference)
        return figures

    def score(self, sample: Sample[FerretQuestion], prediction: Prediction | None) -> float:
        """The rating as a share of ten; without a judge, whether there is an answer."""
        if self.judge is None:
            return float(bool(_text(prediction)))
        return self._rated(self.judge, sample.truth, prediction)[1] / 10

    def _rated(
        self, judge: Judge, truth: FerretQuestion, prediction: Prediction | None
    ) -> tuple[float, float]:
        content = truth.for_judge(_text(prediction))
        if content not in self._reviews:
            review = judge(content)
            ratings = _RATINGS.match(review)
            if ratings is None:
                raise BenchmarkError(
                    f"the judge must begin with two ratings, it said {review[:60]!r}; use another model"
                )
            self._reviews[content] = (float(ratings[1]), float(ratings[2]))
        reference, mine = self._reviews[content]
        return reference, 0.0 if prediction is None else mine


def with_regions(text: str) -> tuple[str, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """The text with `<regionN>` for each [x1, y1, x2, y2], and these boxes (N, 4), as shares of the image."""
    boxes: list[list[float]] = []

    def name(match: re.Match[str]) -> str:
        boxes.append([float(value) for value in match[1].split(",")])
        return region_name(len(boxes) - 1)

    asked = _BOX.sub(name, text)
    return asked, np.array(boxes, dtype=np.float32).reshape(-1, 4)


def write_answers(predictions: Iterable[Prediction], path: Path) -> None:
    """Answers as Ferret's `eval_gpt_review` reads them, one JSON object a line."""
    path.write_text("".join(json.dumps(dict(one)) + "\n" for one in predictions), encoding="utf-8")


def _rows(path: Path, keys: Iterable[str]) -> list[Mapping[str, Any]]:
    return list(rows_with(read_json_lines(path, "Ferret-Bench"), tuple(keys), path, "lines"))


def _text(prediction: Prediction | None) -> str:
    return "" if prediction is None else str(prediction["text"]).strip()

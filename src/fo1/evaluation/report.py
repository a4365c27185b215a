"""`Report`: what came of a run, for programs (report.json) and people (report.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fo1.evaluation.analysis import BoxAnalysis
from fo1.evaluation.benchmark import Benchmark, Prediction, Sample
from fo1.evaluation.box_benchmark import BoxBenchmark
from fo1.evaluation.extras import extra
from fo1.evaluation.grounded import Confidence, Grounded
from fo1.evaluation.plots import plot_all
from fo1.evaluation.predictions import PredictionFile
from fo1.evaluation.run import Samples
from fo1.evaluation.worst import Case, write_page

ORDERS = """
The columns say whose confidence orders the boxes: the model's own, the proposer's for the boxes that the
model names (as the original does), or the product of both."""

WORST = 12
LISTED = 50  # failed samples in report.md; report.json has all


@dataclass
class Report:
    """The figures of a run.

    settings: of the run. metrics: by name, NaN where no sample has a say. failures: sample → error.
    confidences: the metrics by whose score orders the boxes, where it matters. worst: worst case first.
    """

    settings: dict[str, Any]
    samples: int
    metrics: dict[str, float]
    failures: dict[str, str] = field(default_factory=dict)
    confidences: dict[str, dict[str, float]] = field(default_factory=dict)
    analysis: BoxAnalysis | None = None
    worst: list[Case] = field(default_factory=list)

    @classmethod
    def of(cls, benchmark: Benchmark[Any], samples: Samples, kept: PredictionFile) -> Report:
        """Scores kept predictions; the model is not asked. A sample without one counts as failed."""
        metric = benchmark.metric()
        boxes = _Boxes(benchmark) if isinstance(benchmark, BoxBenchmark) else None
        failures: dict[str, str] = {}
        cases: list[Case] = []
        for sample in samples:
            outcome = kept[sample.id] if sample.id in kept else None
            prediction = None if outcome is None else outcome.prediction
            metric.update(sample, prediction)
            if boxes is not None:
                boxes.update(sample, prediction)
            if prediction is None:
                failures[sample.id] = (outcome and outcome.error) or "was not asked"
            else:
                cases.append(Case(metric.score(sample, prediction), sample))
        report = cls(kept.settings, len(samples), metric.compute(), failures)
        if boxes is not None:
            report.confidences = boxes.confidences(report.metrics)
            report.analysis = boxes.analysis
            report.metrics = report.metrics | {"calibration error": boxes.analysis.calibration().error}
        report.worst = sorted((c for c in cases if c.score < 1), key=lambda case: case.score)[:WORST]
        return report

    def columns(self) -> dict[str, dict[str, float]]:
        """Title → figures, for a table; all of the first one."""
        own = Confidence.own.value
        return {**self.confidences, own: self.metrics} if self.confidences else {"value": self.metrics}

    def summary(self) -> dict[str, Any]:
        """`{"metrics": {name: value}, "samples": n, "failed": n}`; a figure without samples is null."""
        figures = plain(self.metrics)
        return {"metrics": figures, "samples": self.samples, "failed": len(self.failures)}

    def to_json(self) -> dict[str, Any]:
        """The summary and all the rest."""
        data = {"run": self.settings, **self.summary(), "failures": self.failures}
        data["worst"] = [{"id": case.sample.id, "score": round(case.score, 6)} for case in self.worst]
        data["confidences"] = {name: plain(figures) for name, figures in self.confidences.items()}
        if self.analysis is not None:
            data["errors by size"] = {k: plain(v.to_json()) for k, v in self.analysis.by_size.items()}
            data["errors by labels"] = {k: plain(v.to_json()) for k, v in self.analysis.by_labels.items()}
        return data

    def write(self, folder: Path, kept: PredictionFile) -> None:
        """report.json, report.md, worst.md and their pictures. Raises `Fo1Error` without matplotlib."""
        (folder / "report.json").write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        plots = {} if self.analysis is None else plot_all(folder, self.analysis)
        write_page(folder, self.worst, kept)
        (folder / "report.md").write_text(self._page(plots), encoding="utf-8", errors="backslashreplace")

    def _page(self, plots: Mapping[str, str]) -> str:
        lines = [f"# {self.settings['model']} on {self.settings['benchmark']}", ""]
        lines += [f"- {key}: {value}" for key, value in self.settings.items()]
        lines += [f"- asked: {self.samples}, failed: {len(self.failures)} (a failed sample scores zero)"]
        lines += ["", *self._table(), *([ORDERS] if self.confidences else [])]
        for title, name in plots.items():
            lines += ["", f"## {title}", "", f"![{title}]({name})"]
        lines += ["", "The [worst cases](worst.md)."]
        if self.failures:
            lines += ["", "## Failed", ""]
            lines += [f"- {sample}: {message}" for sample, message in list(self.failures.items())[:LISTED]]
            if len(self.failures) > LISTED:
                lines += [f"- … and {len(self.failures) - LISTED} more, in report.json"]
        return "\n".join(lines) + "\n"

    def _table(self) -> Iterator[str]:
        columns = self.columns()
        yield "| metric | " + " | ".join(columns) + " |"
        yield "|---" * (len(columns) + 1) + "|"
        for name in self.metrics:
            cells = (figures.get(name) for figures in columns.values())
            yield f"| {name} | " + " | ".join(map(_cell, cells)) + " |"


def prepare(benchmark: Benchmark[Any], write: bool) -> None:
    """Finds a package that scoring or the plots need missing before the model is asked. Raises `Fo1Error`."""
    benchmark.metric()
    if write and isinstance(benchmark, BoxBenchmark):
        extra("matplotlib.figure")


class _Boxes:
    """What a box benchmark adds: the other confidences, and the analysis."""

    def __init__(self, benchmark: BoxBenchmark) -> None:
        self.analysis = BoxAnalysis()
        others = (Confidence.proposer, Confidence.product)
        self._metrics = {confidence: benchmark.metric() for confidence in others}

    def update(self, sample: Sample[Any], prediction: Prediction | None) -> None:
        answer = None if prediction is None else Grounded.of_json(prediction)
        self.analysis.update(sample.truth, answer)
        for confidence, metric in self._metrics.items():
            if prediction is None or answer is None:
                metric.update(sample, None)
            else:
                # Beside the scored boxes a prediction may hold more, which its metric knows of.
                metric.update(sample, {**prediction, **answer.by(confidence).to_json()})

    def confidences(self, own: dict[str, float]) -> dict[str, dict[str, float]]:
        """The figures by confidence; nothing for a metric that orders no boxes, to which all are the same."""
        others = {confidence.value: metric.compute() for confidence, metric in self._metrics.items()}
        differ = any(plain(figures) != plain(own) for figures in others.values())
        return {Confidence.own.value: own, **others} if differ else {}


def plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    """For JSON, which knows no NaN."""
    return {name: None if math.isnan(value) else round(float(value), 6) for name, value in figures.items()}


def _cell(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"

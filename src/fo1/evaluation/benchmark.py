"""The contract of benchmarks: `Benchmark` gives samples and asks about them, `Metric` scores the answers.

A run (`run.py`) does the rest:

    samples = benchmark.open(folder, split)
    for sample in samples:
        scene = model.look(sample.image, sample.boxes)     # in batches
        prediction = benchmark.ask(scene, sample)          # kept as one line of JSON
        metric.update(sample, prediction)                  # again, at any time, without the model
    metric.compute()

`box_benchmark.py` has the base class for benchmarks whose answers are scored boxes; `files.py` reads
annotation files with errors a user can act on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from PIL import Image

from fo1.errors import Fo1Error
from fo1.scene import Scene
from fo1.types import FloatArray

T = TypeVar("T")

Prediction: TypeAlias = Mapping[str, Any]
"""What a model said of one sample, as JSON can hold it; never the score, which is computed from it."""


class BenchmarkError(Fo1Error):
    """A benchmark's files are missing, of another version, or do not belong together."""


@dataclass(frozen=True)
class Sample(Generic[T]):
    """One question about one image.

    id: unique within the benchmark's split, and the same on every machine.
    image: path, or an image in memory. Samples of one image that follow each other share one look.
    truth: what the benchmark's metric needs, of its own type.
    boxes: (N, 4) xyxy pixels of the upright image; None: the model's proposer, or the run's --proposals.
    scores: (N,) what the proposer that made `boxes` says of them; None: 1 each.
    size: (width, height) that the annotations are of, if they say; an image of another size fails.
    """

    id: str
    image: Path | Image.Image
    truth: T
    boxes: FloatArray | None = None
    scores: FloatArray | None = None
    size: tuple[int, int] | None = None


class Metric(Protocol[T]):
    """Adds up samples. A failed one scores zero: what it should have said counts as missed."""

    def reset(self) -> None:
        """Forgets all samples."""

    def update(self, sample: Sample[T], prediction: Prediction | None) -> None:
        """Takes one sample; None is a failed one. The same sample may come several times (bootstrap)."""

    def compute(self) -> dict[str, float]:
        """Every figure by name, over the samples since `reset`; NaN where no sample has a say."""

    def score(self, sample: Sample[T], prediction: Prediction | None) -> float:
        """This sample alone, 0 (wrong, or failed) to 1 (right): orders the worst cases."""


class Benchmark(ABC, Generic[T]):
    """A set of samples, how to ask about them, and how to score the answers.

    name: as on the command line. description: one line for `fo1 eval list`.
    splits: those it has, the default first.
    layout: what its folder must hold, one line for `fo1 eval list` and for errors.
    home: where its data lies unless the user says otherwise; None: the user must.
    keeps_boxes: its samples' boxes are part of the question, so --proposals is refused.
    """

    name: str
    description: str
    splits: tuple[str, ...]
    layout: str
    home: Path | None = None
    keeps_boxes: ClassVar[bool] = False

    @abstractmethod
    def open(self, folder: Path, split: str) -> Sequence[Sample[T]]:
        """The samples of a split, one of `splits`, in a fixed order; images are not opened yet.

        Raises `BenchmarkError` naming the file, and what was expected in it, for a wrong folder, for files of
        another version, and for annotations that do not belong to the images.
        """

    @abstractmethod
    def ask(self, scene: Scene, sample: Sample[T]) -> Prediction:
        """The model's raw answer, with the scores of all regions where there are any.

        The scene's threshold is the run's --threshold. Any `Fo1Error` makes the sample a failed one.
        """

    @abstractmethod
    def metric(self) -> Metric[T]:
        """A new metric, without samples."""

"""`run`: asks a model about every sample of a benchmark, and goes on where an earlier run ended."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from fo1.errors import Fo1Error
from fo1.evaluation.benchmark import Benchmark, BenchmarkError, Sample
from fo1.evaluation.predictions import Outcome, PredictionFile
from fo1.evaluation.proposing import Proposals
from fo1.fingerprint import fingerprint
from fo1.images import load_image
from fo1.pipeline import FO1
from fo1.scene import Scene
from fo1.types import Regions

logger = logging.getLogger(__name__)

Samples: TypeAlias = Sequence[Sample[Any]]


@dataclass(frozen=True)
class Look:
    """Samples about one image and the same boxes; the model looks once."""

    samples: list[Sample[Any]]
    image: Image.Image
    regions: Regions | None


def open_samples(
    benchmark: Benchmark[Any], data: Path | None, split: str | None
) -> tuple[Samples, Path, str]:
    """The samples, the folder they came from and the split. data, split: None is the benchmark's default.

    Raises `BenchmarkError` for a folder or split that is not there, and for ids that come twice.
    """
    chosen = benchmark.splits[0] if split is None else split
    if chosen not in benchmark.splits:
        known = ", ".join(benchmark.splits)
        raise BenchmarkError(f"{benchmark.name} has no split {chosen!r}; it has {known}")
    folder = benchmark.home if data is None else data
    if folder is None:
        raise BenchmarkError(f"{benchmark.name} needs --data, a folder with {benchmark.layout}")
    if not folder.is_dir():
        raise BenchmarkError(f"--data {folder} is no folder; expected one with {benchmark.layout}")
    samples = benchmark.open(folder, chosen)
    if not len(samples):
        raise BenchmarkError(f"{folder} has no samples of {benchmark.name}, split {chosen}")
    (first, times), *_ = Counter(sample.id for sample in samples).most_common(1)
    if times > 1:
        raise BenchmarkError(f"{folder}: {times} samples have the id {first!r}; expected one of each")
    return samples, folder, chosen


def settings_of(
    benchmark: Benchmark[Any],
    split: str,
    folder: Path,
    samples: Samples,
    model: FO1,
    proposals: Proposals | None,
) -> dict[str, Any]:
    """What makes a run the same run; the first line of its predictions."""
    ids = hashlib.blake2b("\n".join(sample.id for sample in samples).encode(), digest_size=8)
    return {
        "benchmark": benchmark.name,
        "split": split,
        "data": str(folder.absolute()),
        "samples": f"{len(samples)} {ids.hexdigest()}",
        "model": model.name,
        "weights": fingerprint(model.model),
        "threshold": model.settings.threshold,
        "temperature": model.settings.temperature,
        "proposals": "model's own" if proposals is None else proposals.name,
    }


def with_threshold(model: FO1, threshold: float | None) -> FO1:
    """The same model, with the score from which it reports a region; None is its own."""
    if threshold is None:
        return model
    return FO1(model.model, replace(model.settings, threshold=threshold), model.description)


def run(
    benchmark: Benchmark[Any],
    model: FO1,
    samples: Samples,
    kept: PredictionFile,
    proposals: Proposals | None = None,
    batch: int = 8,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Asks about the samples that have no prediction in `kept` yet, and keeps each as it comes.

    A sample that fails with an `Fo1Error` is kept with its message and asked again the next time. May be
    interrupted at any moment.
    batch: images the model looks at together. advance: told how many samples are done, as they are.
    Raises `BenchmarkError` for proposals where the boxes are part of the question.
    """
    if proposals is not None and benchmark.keeps_boxes:
        raise BenchmarkError(f"{benchmark.name} asks about given boxes; leave --proposals out")
    tell = advance or (lambda count: None)
    waiting = [one for one in samples if one.id not in kept or kept[one.id].prediction is None]
    tell(len(samples) - len(waiting))

    def keep(sample: Sample[Any], outcome: Outcome) -> None:
        if outcome.error is not None:
            logger.info("%s failed: %s", sample.id, outcome.error)
        kept.add(sample.id, outcome)
        tell(1)

    looks: list[Look] = []
    for group in _by_image(waiting):
        try:
            looks.append(_prepare(group, proposals))
        except Fo1Error as error:
            for sample in group:
                keep(sample, Outcome(None, str(error)))
        if len(looks) == batch:
            _ask(benchmark, model, looks, keep)
            looks = []
    _ask(benchmark, model, looks, keep)


def _by_image(samples: Samples) -> Iterator[list[Sample[Any]]]:
    """Neighbours that show the same image and the same boxes."""
    group: list[Sample[Any]] = []
    for sample in samples:
        if group and not (_same(group[0].image, sample.image) and group[0].boxes is sample.boxes):
            yield group
            group = []
        group.append(sample)
    if group:
        yield group


def _same(one: Path | Image.Image, other: Path | Image.Image) -> bool:
    return one is other or (isinstance(one, Path) and one == other)


def _prepare(group: list[Sample[Any]], proposals: Proposals | None) -> Look:
    """Raises `ImageError`, `RegionError` and `BenchmarkError`."""
    first = group[0]
    image = load_image(first.image)
    for sample in group:
        if sample.size is not None and sample.size != image.size:
            expected, found = ("{}×{}".format(*size) for size in (sample.size, image.size))
            raise BenchmarkError(
                f"{sample.image} is {found} pixels, expected {expected} by its annotations; get that image"
            )
    if proposals is not None:
        return Look(group, image, proposals.regions(first, image))
    regions = None if first.boxes is None else Regions.of(first.boxes, image.size, first.scores)
    return Look(group, image, regions)


def _ask(
    benchmark: Benchmark[Any],
    model: FO1,
    looks: list[Look],
    keep: Callable[[Sample[Any], Outcome], None],
) -> None:
    if not looks:
        return
    try:
        scenes = model.look_many([look.image for look in looks], [look.regions for look in looks])
    except Fo1Error as error:
        if len(looks) > 1:  # one of them is to blame; the others are not
            for look in looks:
                _ask(benchmark, model, [look], keep)
        else:
            for sample in looks[0].samples:
                keep(sample, Outcome(None, str(error)))
        return
    for look, scene in zip(looks, scenes, strict=True):
        for sample in look.samples:
            keep(sample, _outcome(benchmark, scene, sample))


def _outcome(benchmark: Benchmark[Any], scene: Scene, sample: Sample[Any]) -> Outcome:
    try:
        return Outcome(benchmark.ask(scene, sample))
    except Fo1Error as error:
        return Outcome(None, str(error))

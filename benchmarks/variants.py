"""What the ablations compare, and how each variant is trained and measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coordinates import PIXELS, THOUSAND, CoordinateCheck, Space, spelled

from fo1.checkpoints.attached_config import RegionsConfig
from fo1.data.mixture import Mixture, Source
from fo1.data.negatives import NegativeMix, Negatives
from fo1.data.presence import Corpus
from fo1.data.record import Record
from fo1.pipeline import FO1
from fo1.regions.encoder import Fusion, FusionConfig, Position
from fo1.training.check import RegionCheck
from fo1.training.course import LessonCourse
from fo1.training.lessons import Lessons, Showing
from fo1.training.stage import Stage
from fo1.training.tiny import MIX, tiny_model
from fo1.training.trainer import Trainer

DECODER = {"language.*": 2e-3, "base.lm_head.*": 2e-3}
ATTACHED = {"encoder.*": 4e-3, "splice.*": 4e-3, "auxiliary.*": 4e-3}


@dataclass(frozen=True)
class Variant:
    """Names what differs from the full model.

    align: share of the steps that stage 1 has. reads: does the pointer read the decoder's hidden states?
    space: of coordinates as text, for the variant without region tokens.
    longer: times the step budget.
    """

    name: str
    vocabulary: str = "dynamic"
    fusion: Fusion = "concat"
    position: Position = "add"
    pyramid: bool = True
    align: float = 0.2
    negatives: bool = True
    reads: bool = True
    space: Space | None = None
    longer: int = 1

    def model(self, seed: int) -> FO1:
        regions = RegionsConfig(FusionConfig(self.fusion, self.position), self.pyramid, 32, hidden=96)
        return tiny_model(self.vocabulary, seed, regions)

    def stages(self, steps: int) -> list[Stage]:
        """Both stages; the base is random, so that its decoder is trained whole, with its head."""
        steps *= self.longer
        if self.space is not None:
            return [_stage("spell", steps, DECODER)]
        first, second = {"encoder.*": 3e-3, "splice.*": 3e-3}, {**DECODER, **ATTACHED}
        if not self.reads:  # then nothing of the decoder is in the loop, and there is nothing in it to train
            first = {"encoder.*": 3e-3, "splice.pointer.[!q]*": 3e-3}
            second = {"encoder.*": 4e-3, "splice.pointer.[!q]*": 4e-3, "auxiliary.*": 4e-3}
        if self.fusion == "primary":
            second.pop("auxiliary.*")
        align = round(self.align * steps)
        made = [("align", align, first), ("instruct", steps - align, second)]
        return [_stage(name, count, rates) for name, count, rates in made if count]


VARIANTS = (
    Variant("full"),
    Variant("primary only", fusion="primary"),
    Variant("auxiliary only", fusion="auxiliary"),
    Variant("no SimpleFP", pyramid=False),
    Variant("no box embedding", position="none"),
    Variant("pointer without the decoder", reads=False),
    Variant("stage 1 only", align=1.0),
    Variant("stage 2 only", align=0.0),
    Variant("no negatives", negatives=False),
    Variant("static names", vocabulary="static"),
    Variant("coordinates, pixels", vocabulary="static", space=PIXELS),
    Variant("coordinates, 0-1000", vocabulary="static", space=THOUSAND),
    Variant("static names, 4 × steps", vocabulary="static", longer=4),
    Variant("coordinates, pixels, 4 × steps", vocabulary="static", space=PIXELS, longer=4),
    Variant("coordinates, 0-1000, 4 × steps", vocabulary="static", space=THOUSAND, longer=4),
)


def run(
    variant: Variant,
    seed: int,
    steps: int,
    train: Sequence[Record],
    held_out: Sequence[Record],
    folder: Path,
) -> Mapping[str, float]:
    """Trains one variant in a new folder and measures it on held-out scenes."""
    model = variant.model(seed)
    check = RegionCheck(model, held_out)
    negatives = None
    if variant.space is None and variant.negatives:
        negatives = Negatives(Corpus.of(train), NegativeMix(alone=0.0, most=4))
    records = train if variant.space is None else [spelled(record, variant.space) for record in train]
    started, spent = time.monotonic(), time.process_time()
    for stage in variant.stages(steps):
        showing = Showing(MIX, None, negatives, questions=1)
        lessons = Lessons(Mixture([Source("painted", records)], seed), showing)
        if not Trainer(model.model, LessonCourse(model.model, lessons), stage, folder, seed).run():
            raise KeyboardInterrupt
    seconds = {"seconds": time.monotonic() - started, "cpu": time.process_time() - spent}
    if variant.space is None:
        return {**check(), **seconds}
    absent = [quiz.absent for quiz in check.quizzes]
    return {**CoordinateCheck(model, held_out, absent, variant.space)(), **seconds}


def _stage(name: str, steps: int, rates: Mapping[str, float]) -> Stage:
    return Stage(name, steps, rates, batch=4, warmup=10, save_every=10**6, log_every=100)

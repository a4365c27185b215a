"""`Finetune`: a model that points already, on one's own boxes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fo1.data.convert.annotated import Annotated
from fo1.data.convert.making import Making
from fo1.data.convert.problems import Problems
from fo1.data.convert.sources import kind_of, read_source
from fo1.data.dialogues import TaskConfig
from fo1.data.matching import ProposalMix
from fo1.data.reading import RecordFile, write
from fo1.data.settings import SettingError
from fo1.loading import load
from fo1.model import RegionModel
from fo1.pipeline import FO1
from fo1.regions.lexicon import Lexicon
from fo1.training.check import RegionCheck
from fo1.training.recipe import Recipe
from fo1.training.stage import Stage

TASKS = ("detect", "count", "name")
TRAIN, HELD_OUT = "train.jsonl", "held-out.jsonl"

# Low rates and few steps: what the model knew is to stay. Our choice.
RATES = {
    "encoder.connector.*": 1e-4,
    "splice.pointer.*": 3e-4,
    "splice.*_rows": 3e-4,
    "language.*.down": 2e-4,
    "language.*.up": 2e-4,
}


@dataclass(frozen=True)
class Finetune:
    """model: name, folder or hub id. steps: of 4 images. share: of the images, held out to measure with.

    Raises `SettingError` for values that make no sense.
    """

    model: str = "fo1-smol"
    steps: int = 200
    share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SettingError(f"the share held out must be between 0 and 1, got {self.share:g}")

    def prepare(self, source: Path, images: Path | None, out: Path, problems: Problems) -> tuple[int, int]:
        """Annotations of any known kind → `out/data`; how many images to learn from and to measure with.

        Which images are held out follows from their names alone. Files that are there already stay.
        Raises `RecordError` and `SettingError` for what cannot be used.
        """
        folder = out / "data"
        folder.mkdir(parents=True, exist_ok=True)
        found = list(read_source(kind_of(source), source, images, None, problems))
        order = sorted(found, key=self._lot)
        count = round(self.share * len(order))
        for name, chosen in ((TRAIN, order[count:]), (HELD_OUT, order[:count])):
            if not (folder / name).exists():
                write(Making("own", TaskConfig(tasks=TASKS), self.seed).records(chosen), folder / name)
        counts = len(RecordFile(folder / TRAIN)), len(RecordFile(folder / HELD_OUT))
        if not all(counts):
            raise SettingError(
                f"{source}: {counts[0]} images to learn from and {counts[1]} to measure with; both are "
                "needed, so give more images or another share"
            )
        return counts

    def measure(self, out: Path, model: str | Path) -> dict[str, float]:
        """Any model on what is held out."""
        held_out = RecordFile(out / "data" / HELD_OUT)
        records = [held_out[i] for i in range(len(held_out))]
        return RegionCheck(load(model), records, proposed=True, namings=len(records))()

    def recipe(self, out: Path) -> Recipe:
        """What is done."""
        data = out / "data"
        records = RecordFile(data / TRAIN)
        labels = sorted({label for i in range(len(records)) for label in records[i].labels or () if label})
        stage = Stage(
            "finetune",
            steps=self.steps,
            rates=RATES,
            rank=8,
            words=0.5,
            precision="bfloat16",
            save_every=50,
        )
        return Recipe(
            model=lambda: with_names(load(self.model), labels),
            stage=stage,
            sources={data / TRAIN: 1.0},
            mix=ProposalMix(share_truth=0.5, jitter=0.05, unmatched="add"),
            proposed=True,
            seed=self.seed,
        )

    def _lot(self, image: Annotated) -> int:
        """Decides, whatever order the images come in, which are held out."""
        return zlib.crc32(f"{self.seed} {image.image.path}".encode())


def with_names(model: FO1, names: Sequence[str]) -> FO1:
    """The same model, whose lexicon, if it has one, also knows these names."""
    inner: RegionModel = model.model
    if inner.lexicon is None or inner.encoder.evidence is None:
        return model
    known = inner.lexicon
    extended = tuple(dict.fromkeys([*known.names, *names]))
    words = inner.phrase_embeddings(extended)
    made = Lexicon(extended, words, inner.encoder.evidence.affinity(words)).to(words.device)
    made.rivalry.data.copy_(known.rivalry.data)
    inner.lexicon = made.requires_grad_(False)
    return model

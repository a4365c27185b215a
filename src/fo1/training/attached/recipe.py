"""`Recipe`: one stage of training, from the model it begins with to the folder that holds the trained one."""

from __future__ import annotations

import logging
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.negatives import NegativeMix, Negatives
from fo1.data.presence import Corpus
from fo1.data.reading import RecordFile
from fo1.data.record import Record
from fo1.data.settings import SettingError
from fo1.loading import save
from fo1.pipeline import FO1
from fo1.training.attached.check import RegionCheck
from fo1.training.attached.folding import fold
from fo1.training.attached.lessons import Lessons, Propose, Showing
from fo1.training.attached.stage import Stage
from fo1.training.attached.trainer import Trainer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What a file under `recipes/` says, as a variable called `recipe`.

    model: gives the model to train, attached or loaded.
    sources: weight of each file of records. held_out: a file to check with, of which `checked` are used.
    mix, negatives, proposals: how records are shown; no negatives: None.
    seed: of the mixture, and of all that is random in training.
    """

    model: Callable[[], FO1]
    stage: Stage
    sources: Mapping[Path, float]
    held_out: Path | None = None
    checked: int = 50
    mix: ProposalMix = field(default_factory=ProposalMix)
    negatives: NegativeMix | None = field(default_factory=NegativeMix)
    proposals: Propose | None = None
    seed: int = 0

    def lessons(self) -> Lessons:
        """What is shown. Records that make no sense are logged with file and line, and left out."""
        files = {path: RecordFile(path, on_error="skip") for path in self.sources}
        mixture: Mixture[Record] = Mixture(
            [Source(str(path), file, self.sources[path]) for path, file in files.items()], self.seed
        )
        corpus = Corpus.of(file[i] for file in files.values() for i in range(len(file)))
        negatives = None if self.negatives is None or not corpus.images else Negatives(corpus, self.negatives)
        return Lessons(mixture, Showing(self.mix, self.proposals, negatives))

    def run(self, out: Path) -> bool:
        """Trains, going on where it was interrupted, and saves the model as `out/model`.

        False if it was interrupted again; then the next call goes on.
        """
        # Parts that are attached anew begin with the same random weights at each call.
        torch.manual_seed(self.seed)
        model = self.model()
        check = None if self.held_out is None else RegionCheck(model, self._held_out(self.held_out))
        trainer = Trainer(model.model, self.lessons(), self.stage, out, self.seed, check)
        if not trainer.run():
            return False
        fold(model.model.base.get_decoder())
        target = out / "model"
        if target.exists() and any(target.iterdir()):
            _log.warning("%s is there already and was left as it is", target)
        else:
            save(model, target)
        return True

    def _held_out(self, path: Path) -> Sequence[Record]:
        file = RecordFile(path, on_error="skip")
        return [file[i] for i in range(min(len(file), self.checked))]


def read_recipe(path: Path) -> Recipe:
    """Runs a Python file and takes its `recipe`. Raises `SettingError` if there is none."""
    if not path.is_file():
        raise SettingError(f"{path}: no such recipe; check the path")
    recipe = runpy.run_path(str(path)).get("recipe")
    if not isinstance(recipe, Recipe):
        raise SettingError(f"{path} has no variable `recipe` that is a `Recipe`")
    return recipe

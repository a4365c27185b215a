"""`Recipe`: one stage of training, from the model it begins with to the folder that holds the trained one."""

from __future__ import annotations

import logging
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.negatives import NegativeMix, Negatives
from fo1.data.presence import Corpus
from fo1.data.reading import RecordFile
from fo1.data.record import Record
from fo1.data.settings import SettingError
from fo1.pipeline import FO1
from fo1.saving import save
from fo1.training.check import RegionCheck
from fo1.training.course import LessonCourse
from fo1.training.folding import check_savable, fold
from fo1.training.journal import Journal
from fo1.training.lessons import Lessons, Showing, own_proposals
from fo1.training.stage import Stage
from fo1.training.team import Team, launched_sharded
from fo1.training.trainer import Trainer, Watcher

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What a file under `recipes/` says, as a variable called `recipe`.

    model: gives the model to train, attached or loaded.
    sources: weight of each file of records. held_out: a file to check with, of which `checked` are used.
    mix, negatives: how records are shown; no negatives: None. proposed: beside their own boxes, records
        are shown with those of the model's proposer, also when it is checked.
    limit: tokens of an exercise at most, its image included.
    seed: of the mixture, and of all that is random in training.
    """

    model: Callable[[], FO1]
    stage: Stage
    sources: Mapping[Path, float]
    held_out: Path | None = None
    checked: int = 50
    mix: ProposalMix = field(default_factory=ProposalMix)
    negatives: NegativeMix | None = field(default_factory=NegativeMix)
    proposed: bool = False
    limit: int = 4096
    seed: int = 0

    def course(self, model: FO1, team: Team) -> LessonCourse:
        """What is shown. Records that make no sense are logged with file and line, and left out."""
        files = {path: RecordFile(path, on_error="skip") for path in self.sources}
        mixture: Mixture[Record] = Mixture(
            [Source(str(path), file, self.sources[path]) for path, file in files.items()], self.seed
        )
        corpus = Corpus.of(file[i] for file in files.values() for i in range(len(file)))
        negatives = None if self.negatives is None or not corpus.images else Negatives(corpus, self.negatives)
        mix = replace(self.mix, cap=min(self.mix.cap, model.model.capacity))
        showing = Showing(mix, own_proposals(model) if self.proposed else None, negatives)
        return LessonCourse(model.model, Lessons(mixture, showing, team.rank, team.size), self.limit)

    def run(self, out: Path, sharded: bool = False, watch: Sequence[Watcher] = ()) -> bool:
        """Trains, going on where it was interrupted, and saves the model as `out/model`.

        sharded: splits weights over the processes, of which there are more than one; so do settings of
        `accelerate launch` that say FSDP. watch: hears of steps.
        False if it was interrupted again; then the next call goes on.
        """
        team = Team(launched_sharded() or sharded)
        model = self._begin()
        trainer = self._trainer(model, out, team, watch)
        if not trainer.run():
            return False
        if team.sharded:
            # Put together anew from the checkpoint, by the process that leads.
            model, team = self._begin(), Team()
            trainer = self._trainer(model, out, team) if team.leads else trainer
        if team.leads:
            with trainer.averaged():
                fold(model)
                self._save(model, out / "model")
        team.wait()
        return True

    def _begin(self) -> FO1:
        # Parts that are attached anew begin with the same random weights at each call.
        torch.manual_seed(self.seed)
        return self.model()

    def _trainer(self, model: FO1, out: Path, team: Team, watch: Sequence[Watcher] = ()) -> Trainer:
        check, journal = None, Journal(out / "logs") if team.leads else None
        if self.held_out is not None:
            check = RegionCheck(
                model,
                self._held_out(self.held_out),
                proposed=self.proposed,
                namings=self.checked,
                samples=out / "samples" if team.leads else None,
            )
        trainer = Trainer(
            model.model,
            self.course(model, team),
            self.stage,
            out,
            self.seed,
            check,
            team,
            watch=[*watch, journal.step] if journal else [],
            measured=[journal.check] if journal else [],
        )
        check_savable(model, trainer.trained)
        return trainer

    @staticmethod
    def _save(model: FO1, target: Path) -> None:
        if target.exists() and any(target.iterdir()):
            _log.warning("%s is there already and was left as it is", target)
        else:
            save(model, target)

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

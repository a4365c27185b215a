"""Run by test_team.py in several processes: a few steps, and what came of them as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from fo1.data.mixture import Mixture, Source
from fo1.data.reading import RecordFile
from fo1.training.check import RegionCheck
from fo1.training.course import LessonCourse
from fo1.training.lessons import Lessons, Showing
from fo1.training.stage import Stage
from fo1.training.team import Team, launched_sharded
from fo1.training.tiny import INSTRUCT, MIX, tiny_model
from fo1.training.trainer import Trainer

STEPS = 4


def stage(batch: int) -> Stage:
    return replace(INSTRUCT, steps=STEPS, batch=batch, warmup=1, average=0.5, check_every=2)


def run(folder: Path, pictures: Path, batch: int, sharded: bool, until: int = STEPS) -> Trainer:
    """Trains, going on from what is in the folder."""
    team, model = Team(sharded), tiny_model()
    records = RecordFile(pictures / "train.jsonl")
    course = LessonCourse(
        model.model, Lessons(Mixture([Source("painted", records)]), Showing(MIX), team.rank, team.size)
    )
    check = RegionCheck(model, [records[0], records[1]])
    trainer = Trainer(model.model, course, stage(batch), folder, check=check, team=team)
    trainer.run(until=until)
    return trainer


def main() -> None:
    folder, pictures, mode, until = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(1)
    trainer = run(folder, pictures, batch=1, sharded=launched_sharded() or mode == "sharded", until=until)
    sharded = sum(type(p).__name__ == "DTensor" for p in trainer.trained.values())
    history = [(one.words, one.regions, one.norm, one.images) for one in trainer.history]
    found = {"history": history, "sharded": sharded, "rank": trainer.team.rank}
    (folder / f"rank-{trainer.team.rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()

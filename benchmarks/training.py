"""How fast training goes, and what packing is worth.

python benchmarks/training.py --steps 6

Trains fo1-smol's region encoder and low-rank factors on the photos of this repository, three ways:
  packed: all questions of an image share one prefix (`Exercise`), as training does it;
  rows: each question is a sequence of its own, but the image is encoded once;
  single: each question is an example of its own, as most trainers have it.
Peak memory is of the whole process, so each way runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import fo1
from fo1.data.convert.annotated import Annotated
from fo1.data.convert.making import Making
from fo1.data.dialogues import TaskConfig
from fo1.data.matching import ProposalMix
from fo1.data.mixture import Mixture, Source
from fo1.data.record import ImageRef, Record
from fo1.training.course import LessonCourse
from fo1.training.finetune import RATES
from fo1.training.lessons import Lessons, Showing, own_proposals
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer
from fo1.vlm.blind import BlindFamily

WAYS = ("packed", "rows", "single")
STAGES = {
    "align": {"encoder.connector.*": 1e-4, "splice.*": 1e-4},
    "instruct": RATES,
}


class Rows(BlindFamily):
    """Reads every branch of a tree as a sequence of its own."""

    reads_trees = False


def photo_records(folder: Path) -> list[Record]:
    found = [
        Annotated(
            ImageRef(entry["image"], root=folder),
            tuple(tuple(thing["box"]) for thing in entry["objects"]),
            tuple(thing["label"] for thing in entry["objects"]),
            absent=frozenset(entry["absent"]),
        )
        for entry in json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    ]
    made = Making("photos", TaskConfig(tasks=("detect", "count", "name")))
    return [record for record in made.records(found) if len(record.dialogues) > 3]


def measured(way: str, stage_name: str, photos: Path, steps: int) -> dict[str, float]:
    model = fo1.load("fo1-smol", dtype="bfloat16")
    inner = model.model
    if way == "rows":
        family = inner.family
        assert isinstance(family, BlindFamily)
        inner.family = Rows(inner.base, family.primary, family.image_slot, family.chat)
    records = photo_records(photos)
    if way == "single":
        records = [replace(one, dialogues=(talk,)) for one in records for talk in one.dialogues]
    mix = ProposalMix(share_truth=0.5, jitter=0.05, unmatched="add")
    lessons = Lessons(Mixture([Source("photos", records)]), Showing(mix, own_proposals(model)))
    rank = 8 if stage_name == "instruct" else 0
    stage = Stage(stage_name, steps + 1, STAGES[stage_name], batch=4, rank=rank, precision="bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(inner, LessonCourse(inner, lessons), stage, Path(folder))
        trainer.run()
    steady = trainer.history[1:]
    seconds = sum(one.seconds for one in steady)
    return {
        "images/s": sum(one.images for one in steady) / seconds,
        "answers/s": sum(one.answers for one in steady) / seconds,
        "idle": sum(one.waited for one in steady) / seconds,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=Path("photos"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "STAGE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        print(json.dumps(measured(*arguments.one, arguments.photos, arguments.steps)))
        return
    for stage in STAGES:
        print(f"\n| {stage} | images/s | answers/s | idle | peak MiB |\n|---|---|---|---|---|")
        for way in WAYS:
            command = [sys.executable, *sys.argv, "--one", way, stage]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            numbers = f"{found['images/s']:.2f} | {found['answers/s']:.2f} | {found['idle']:.0%}"
            print(f"| {way} | {numbers} | {found['peak MiB']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

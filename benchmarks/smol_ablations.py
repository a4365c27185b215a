"""Region tokens or coordinates? The same question as ablations.py, on the bundled model's base.

python benchmarks/smol_ablations.py --features FEATURES --start matched.pt --out smol_ablations.jsonl

FEATURES is the folder of `python -m fo1.training.smol features` (train/, val/). matched.pt is a checkpoint of
stage 0, of which every variant takes the connector and nothing else. All see the same scenes and labels for
the same number of steps, and are measured on the same held-out scenes. A line per finished run; finished ones
are not run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablations import known_runs, summary, table
from coordinates import QUESTION, THOUSAND, parsed

from fo1.boxes import claims, iou
from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import bundled, load_untrained
from fo1.data.packing import Packer
from fo1.data.record import ImageRef, Record, Turn
from fo1.decoding import generate_text
from fo1.model import Encoded, RegionModel
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.tasks import TASKS
from fo1.prompts.vocabulary import region_name
from fo1.scene import Scene
from fo1.settings import Settings
from fo1.training.smol.questions import SeenScene
from fo1.training.smol.recipe import load_folder, start_rows
from fo1.training.smol.records import SceneRecord
from fo1.training.smol.thesaurus import Thesaurus
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer
from fo1.vlm.splice import RegionSplice

SIDE = 1000  # of the canvas on which SeenScene puts its boxes
RATES = {
    "encoder.connector.*": 1e-4,
    "splice.*_rows": 1e-3,
    "language.*.down": 8e-4,
    "language.*.up": 8e-4,
}
POINTER = {
    "splice.pointer.query.*": 5e-4,
    "splice.pointer.[kp]*": 1e-3,
    "splice.pointer.[gb]*": 2e-2,  # two numbers that have far to go
}


@dataclass(frozen=True)
class Variant:
    """names: dynamic, static, or none: then coordinates are written. shown: are the regions read?"""

    name: str
    names: str
    shown: bool = True

    def model(self, start: Path, seed: int) -> RegionModel:
        """The base with the stage's connector; the rest is as untrained as in every other variant."""
        torch.manual_seed(seed)
        folder = bundled()["fo1-smol"]
        model = load_untrained(folder, ModelConfig.read(folder), torch.bfloat16)
        state = torch.load(start, weights_only=True)
        state = state.get("weights", state)
        connector = {key: value for key, value in state.items() if key.startswith("encoder.")}
        model.load_state_dict(connector, strict=False)
        if self.names != "dynamic":
            model = _static(model)
        start_rows(model, seed)
        if model.splice.pointer is None:
            model.splice.output_rows.data.copy_(model.splice.input_rows[: len(model.splice.output_rows)])
        else:
            model.splice.pointer.start(model.phrase_embeddings(["thing"]).mean(dim=0))
        return model.eval()


VARIANTS = (
    Variant("dynamic names", "dynamic"),
    Variant("static names", "static"),
    Variant("coordinates, regions read", "none"),
    Variant("coordinates, image alone", "none", shown=False),
)


def _static(model: RegionModel) -> RegionModel:
    """The same parts with fixed region words and a slot behind each."""
    vocabulary, chat = model.prompts.vocabulary, replace(model.prompts.chat, region_slots=True)
    return RegionModel(
        model.base,
        PromptBuilder(model.prompts.tokenizer, vocabulary, chat),
        RegionSplice(vocabulary, model.splice.input_rows.shape[1]),
        model.encoder,
        model.family,
    )


class DetectCourse:
    """Scenes, each asked for at most three names that are there and two that are not."""

    skipped = 0

    def __init__(
        self, model: RegionModel, variant: Variant, scenes: Sequence[SceneRecord], regions: int, seed: int
    ) -> None:
        self.model, self.variant, self.scenes, self.regions, self.seed = model, variant, scenes, regions, seed
        self.packer = Packer(model.prompts, 4096, scored=variant.names == "dynamic")
        self.names = sorted({name for scene in scenes for name in scene.names})
        self.words = Thesaurus()
        self.position = 0

    def take(self, count: int) -> list[int]:
        start, self.position = self.position, self.position + count
        return list(range(start, self.position))

    def prepare(self, taken: Sequence[int]) -> list[SeenScene]:
        order = np.random.default_rng(self.seed).permutation(len(self.scenes))
        return [self.lesson(self.scenes[order[i % len(order)]], i) for i in taken]

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]

    def labels(self, scene: SceneRecord, number: int) -> tuple[list[str], list[str]]:
        """What is there, what is not."""
        rng = np.random.default_rng((self.seed, number))
        there = list(rng.permutation(sorted(set(scene.names) - set(scene.uncertain)))[:3])
        known = {*scene.names, *scene.uncertain}
        others = [one for one in self.names if not any(self.words.conflicts(one, name) for name in known)]
        return there, list(rng.choice(others, 2, replace=False))

    def shown(self, scene: SceneRecord) -> SceneRecord:
        """The proposer's best, or the image alone."""
        count = min(self.regions, scene.count) if self.variant.shown else 0
        rows = torch.tensor([*range(count), scene.count])
        return replace(scene, features=scene.features.take(rows), overlap=scene.overlap[rows[:-1]])

    def lesson(self, scene: SceneRecord, number: int) -> SeenScene:
        """The question, with the answer in the variant's own words."""
        there, absent = self.labels(scene, number)
        asked = list(np.random.default_rng((self.seed, number, 1)).permutation([*there, *absent]))
        seen = self.shown(scene)
        write = coordinates if self.variant.names == "none" else regions_named
        question = QUESTION.replace("{}", ", ".join(asked))
        if self.variant.names != "none":
            question = TASKS["detect"].fill(*asked)
        boxes = seen.features.boxes[:-1].float().numpy() * SIDE
        dialogue = Turn("user", question), Turn("assistant", write(seen, asked))
        record = Record(ImageRef("cached", (SIDE, SIDE)), boxes, (dialogue,))
        slot = self.model.prompts.vocabulary.image_slot
        assert slot is not None
        return SeenScene(seen.features, self.packer(record, (slot,)).exercises, (slot,))


def regions_named(scene: SceneRecord, asked: Sequence[str]) -> str:
    """Every region that covers a thing of the label by at least half."""
    said = []
    for label in asked:
        columns = [i for i, name in enumerate(scene.names) if name == label]
        covers = scene.overlap[:, columns].amax(dim=1) >= 0.5 if columns else torch.zeros(scene.count)
        found = "".join(region_name(i) for i in covers.nonzero()[:, 0].tolist())
        said.append(f"<ground>{label}</ground><objects>{found or 'None'}</objects>")
    return "".join(said)


def coordinates(scene: SceneRecord, asked: Sequence[str]) -> str:
    """JSON as Qwen writes it, in thousandths."""
    things = [
        {"bbox_2d": [round(v * SIDE) for v in box], "label": label}
        for label in asked
        for box, name in sorted(zip(scene.objects.tolist(), scene.names, strict=True))
        if name == label
    ]
    return json.dumps(things, separators=(",", ":"))


@torch.inference_mode()
def measured(course: DetectCourse, held_out: Sequence[SceneRecord], threshold: float) -> dict[str, float]:
    """A found box is right from IoU 0.5; absent labels' boxes count against precision."""
    hits = predicted = true = refused = denied = 0
    quizzes = [course.labels(scene, number) for number, scene in enumerate(held_out)]
    answer = spoken if course.variant.names == "none" else pointed
    founds = answer(course, held_out, [[*there, *absent] for there, absent in quizzes], threshold)
    for scene, (there, absent), found in zip(held_out, quizzes, founds, strict=True):
        for label in there:
            boxes = scene.objects[[name == label for name in scene.names]].numpy() * SIDE
            hits += int((claims(iou(found[label], boxes)) >= 0).sum())
            true += len(boxes)
        predicted += sum(map(len, found.values()))
        refused += sum(not len(found[label]) for label in absent)
        denied += len(absent)
    precision, recall = hits / max(predicted, 1), hits / true
    scores = {"F1": 2 * hits / max(predicted + true, 1), "precision": precision, "recall": recall}
    return {**scores, "refused": refused / denied}


Boxes = dict[str, np.ndarray]  # of each label, (N, 4) on the canvas


def seen(course: DetectCourse, scene: SceneRecord) -> Encoded:
    """As the variant is shown it."""
    slot = course.model.prompts.vocabulary.image_slot
    assert slot is not None
    return SeenScene(course.shown(scene).features, (), (slot,)).encode(course.model)


def spoken(
    course: DetectCourse, scenes: Sequence[SceneRecord], asked: Sequence[Sequence[str]], _: float
) -> list[Boxes]:
    """Coordinates as text, eight scenes at once."""
    said: list[str] = []
    for first in range(0, len(scenes), 8):
        encoded = [seen(course, scene) for scene in scenes[first : first + 8]]
        questions = [QUESTION.replace("{}", ", ".join(one)) for one in asked[first : first + 8]]
        said += [one.text for one in generate_text(course.model, encoded, questions, max_new_tokens=192)]
    return [
        {
            one: np.reshape(
                [THOUSAND.into(box, (SIDE, SIDE)) for label, box in parsed(text) if label == one], (-1, 4)
            )
            for one in labels
        }
        for labels, text in zip(asked, said, strict=True)
    ]


def pointed(
    course: DetectCourse, scenes: Sequence[SceneRecord], asked: Sequence[Sequence[str]], threshold: float
) -> list[Boxes]:
    """Regions, scored or named."""
    found = []
    for scene, labels in zip(scenes, asked, strict=True):
        look = Scene(course.model, Settings("ablation"), seen(course, scene), {})
        said = look.detect(list(labels), threshold if course.variant.names == "dynamic" else None)
        found.append({label: said.by_label(label).xyxy for label in labels})
    return found


def run(variant: Variant, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Trains one variant and measures it."""
    model = variant.model(options.start, seed)
    train, held_out = load_folder(options.features / "train"), load_folder(options.features / "val")
    course = DetectCourse(model, variant, train[: options.scenes], options.regions, seed)
    rates = {**RATES, **(POINTER if variant.names == "dynamic" else {})}
    stage = Stage("detect", options.steps, rates, batch=options.batch, rank=16, warmup=10, save_every=10**6)
    spent = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        if not Trainer(model, course, stage, Path(folder), seed).run():
            raise KeyboardInterrupt
    figures = {"cpu": time.process_time() - spent}
    check = DetectCourse(model, variant, held_out, options.regions, 0)
    return {**measured(check, held_out[: options.held_out], options.threshold), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="a checkpoint of stage 0")
    parser.add_argument("--out", type=Path, default=Path("smol_ablations.jsonl"))
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in VARIANTS])
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--regions", type=int, default=24, help="shown of each scene, at most")
    parser.add_argument("--scenes", type=int, default=600, help="to train on")
    parser.add_argument("--held-out", type=int, default=40, help="scenes to measure on")
    parser.add_argument("--threshold", type=float, default=0.5, help="score of a region that is reported")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    done = {(one["variant"], one["seed"], one["steps"]) for one in known_runs(options.out)}
    for seed in map(int, options.seeds.split(",")):
        for variant in VARIANTS:
            key = {"variant": variant.name, "seed": seed, "steps": options.steps}
            if tuple(key.values()) in done or (options.only and variant.name not in options.only):
                continue
            figures = run(variant, seed, options)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**key, **figures}) + "\n")
            print(f"{variant.name}, seed {seed}: F1 {figures['F1']:.3f}", flush=True)
    print(table(summary(known_runs(options.out), options.steps, [one.name for one in VARIANTS])))


if __name__ == "__main__":
    main()

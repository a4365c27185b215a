"""The recipe of `fo1-smol`: from packages to a checkpoint. Run by `make train-smol`; see docs/fo1-smol.md.

Every value is our choice; the paper gives no learning rates, batch sizes or data ratios.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import load_untrained, save_plugin
from fo1.model import RegionModel
from fo1.training.smol.align import align
from fo1.training.smol.chat import ChatCourse, chat_prompts, read_or_answer
from fo1.training.smol.gallery import filled
from fo1.training.smol.names import EVERYDAY, held_out
from fo1.training.smol.questions import QuestionMaker
from fo1.training.smol.records import SceneRecord, load_records
from fo1.training.smol.scenes import SceneCourse
from fo1.training.smol.thesaurus import Thesaurus
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer

logger = logging.getLogger(__name__)

# How loud the classifiers and rival names are is set, not learned: on pictures that the connector knows by
# heart both would be learned away (seen: 4 → 1.5 and 0.7 → 0), and on new photos missed.
ALIGN = Stage(
    "stage0-match",
    steps=7000,
    batch=16,
    rates={
        "encoder.connector.*": 1e-3,
        "splice.pointer.[kp]*": 1e-3,
        "splice.pointer.[gb]*": 2e-2,  # gain and bias, two numbers, have far to go
    },
)
STAGE_1 = Stage(
    "stage1-align",
    steps=60,
    rates={"encoder.connector.*": 1e-4, "splice.pointer.query.*": 5e-4, "splice.*_rows": 2e-3},
    words=0.5,
)
STAGE_2 = Stage(
    "stage2-tune",
    steps=1400,
    batch=5,  # four scenes, and plain talk
    rates={
        "encoder.connector.*": 5e-5,  # stage 0 has met far more names than this stage will
        "splice.pointer.query.*": 5e-4,
        "splice.pointer.[kpgb]*": 5e-5,
        "splice.*_rows": 1e-3,
        "language.*.down": 8e-4,
        "language.*.up": 8e-4,
    },
    words=0.5,
)
PHOTO_SHARE = 0.25


@dataclass(frozen=True)
class Recipe:
    """Where things are.

    bundle: folder of config and encoders' weights. features: records. out: checkpoints.
    """

    bundle: Path
    features: Path
    out: Path
    seed: int = 0


def load_folder(folder: Path) -> list[SceneRecord]:
    """All records of a folder of shards, in order."""
    return [record for path in sorted(folder.glob("*.safetensors")) for record in load_records(path)]


def training_records(features: Path) -> list[SceneRecord]:
    """Composed scenes, and photos repeated until they are `PHOTO_SHARE` of all."""
    composed, photos = load_folder(features / "train"), load_folder(features / "photos")
    wanted = int(len(composed) * PHOTO_SHARE / (1 - PHOTO_SHARE))
    return composed + [photos[i % len(photos)] for i in range(wanted if photos else 0)]


def training_names(records: Sequence[SceneRecord]) -> list[str]:
    """Every name that training may ask for, present or not; held-out names are not among them."""
    names = {name for record in records for name in record.names} | EVERYDAY
    return sorted(name for name in names if not held_out(name))


def start_rows(model: RegionModel, seed: int) -> None:
    """Input rows of added tokens: the mean embedding of their words, plus noise, so that no two coincide."""
    table = cast(Tensor, model.base.get_input_embeddings().weight)
    tokenizer, vocabulary = model.prompts.tokenizer, model.prompts.vocabulary
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for row, token in zip(model.splice.input_rows, vocabulary.added, strict=True):
            word = str(tokenizer.convert_ids_to_tokens(token)).strip("</>")
            ids = tokenizer(" " + word, add_special_tokens=False).input_ids
            row.copy_(table[ids].float().mean(dim=0) + 0.02 * torch.randn(row.shape, generator=generator))


def train(recipe: Recipe) -> None:
    """All stages; each resumes where it was interrupted.

    Leaves `plugin.safetensors` in the output folder, unless it is interrupted again.
    """
    torch.manual_seed(recipe.seed)
    config = ModelConfig.read(recipe.bundle)
    model = load_untrained(recipe.bundle, config, torch.bfloat16)
    records = training_records(recipe.features)
    names = training_names(records)
    logger.info("%d scenes, %d names", len(records), len(names))
    questions = QuestionMaker(model.prompts, Thesaurus(), names, halves=filled(model, records))
    recipe.out.mkdir(parents=True, exist_ok=True)
    start_rows(model, recipe.seed)
    if model.splice.pointer is not None:
        model.splice.pointer.start(model.phrase_embeddings(names).mean(dim=0))
    matched = recipe.out / "stage0-match.pt"
    if matched.exists():
        model.load_state_dict(torch.load(matched, weights_only=True), strict=False)
    else:
        align(model, questions, records, ALIGN, seed=recipe.seed)
        trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
        partial = matched.with_suffix(".partial")
        torch.save(trained, partial)
        partial.rename(matched)
    scenes = SceneCourse(questions, records, recipe.seed)
    if not Trainer(model, scenes, STAGE_1, recipe.out, recipe.seed).run():
        return
    chats = read_or_answer(model, chat_prompts(), recipe.out / "chats.json")
    scenes = SceneCourse(questions, records, recipe.seed)
    course = ChatCourse(scenes, model.prompts, chats, seed=recipe.seed)
    second = replace(STAGE_2, rank=config.lora_rank)
    if not Trainer(model, course, second, recipe.out, recipe.seed).run():
        return
    save_plugin(model, recipe.out)

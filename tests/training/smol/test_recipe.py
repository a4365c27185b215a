from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fo1.boxes import iou
from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import PLUGIN, load_plugin
from fo1.evaluation.benchmark import Sample
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.benchmarks.scenes import Scenes
from fo1.model import RegionModel
from fo1.pipeline import FO1
from fo1.training.smol import recipe as smol
from fo1.training.smol.align import align
from fo1.training.smol.features import encode_scene
from fo1.training.smol.names import EVERYDAY, held_out, siblings
from fo1.training.smol.questions import QuestionConfig
from fo1.training.smol.recipe import Recipe, start_rows, train, training_names, training_records
from fo1.training.smol.records import save_records
from fo1.training.smol.scenes import SceneCourse
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer
from tiny import region_model
from training.miniature import NAMES, maker, painted, record

HELD_OUT = next(name for name in siblings("hammer") if held_out(name))
BOX = [[0.1, 0.1, 0.5, 0.5]]


def test_no_two_added_tokens_start_alike() -> None:
    model = region_model()
    model.splice.input_rows.data.zero_()
    start_rows(model, seed=0)
    rows = model.splice.input_rows
    distance = torch.cdist(rows, rows) + torch.eye(len(rows)) * 9
    assert distance.min() > 0.02


def test_added_tokens_start_near_their_word() -> None:
    model = region_model()
    start_rows(model, seed=0)
    vocabulary, table = model.prompts.vocabulary, model.base.get_input_embeddings().weight
    for word, token in (("region42", vocabulary.region(42)), ("objects", vocabulary.tags["</objects>"])):
        mean = table[model.prompts.template(" " + word)].mean(dim=0)
        row = model.splice.input_rows[token - vocabulary.first_region]
        assert (row - mean).abs().max() < 0.1
        assert not torch.equal(row, mean)


def test_rows_depend_on_the_seed_alone() -> None:
    models = [region_model() for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.manual_seed(id(model) % 1000)
        start_rows(model, seed)
    one, again, other = (model.splice.input_rows for model in models)
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_training_names_leave_held_out_ones_out() -> None:
    names = training_names([record(["gizmo", HELD_OUT], BOX * 2), record(["gizmo"], BOX, uncertain=["sea"])])
    assert names == sorted({"gizmo", *EVERYDAY})


def test_photos_are_repeated_to_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, name, count in (("train", "cup", 45), ("photos", "cat", 2)):
        (tmp_path / folder).mkdir()
        save_records([record([name], BOX) for _ in range(count)], tmp_path / folder / "000000.safetensors")
    monkeypatch.setattr(smol, "PHOTO_SHARE", 0.1)
    names = [r.names[0] for r in training_records(tmp_path)]
    assert names == ["cup"] * 45 + ["cat"] * 5
    (tmp_path / "photos" / "000000.safetensors").unlink()
    assert len(training_records(tmp_path)) == 45


def encode(model: RegionModel, features: Path, scenes: int) -> None:
    rng = np.random.default_rng(0)
    for folder, seeds in (("train", range(scenes)), ("photos", range(scenes, scenes + 2))):
        (features / folder).mkdir(parents=True)
        encoded = [encode_scene(model, painted(seed), 6, rng) for seed in seeds]
        save_records(encoded, features / folder / "000000.safetensors")


def best_region_is_right(model: RegionModel, seeds: range) -> float:
    """Share of the names in painted scenes whose best-scored region is the thing."""
    app = FO1(model, ModelConfig("tiny"))
    right = []
    for scene in map(painted, seeds):
        seen = app.look(scene.image)
        found = seen.detect(list(scene.names))
        for name in found.confidence:
            truth = scene.boxes[[other == name for other in scene.names]]
            best = seen.regions.xyxy[found.confidence[name].argmax()]
            right.append(float(iou(best, truth).max() > 0.5))
    return sum(right) / len(right)


def figures(model: RegionModel, seeds: range) -> dict[str, float]:
    """What evaluation says of painted scenes, asked for every name."""
    app, benchmark = FO1(model, ModelConfig("tiny")), Scenes()
    metric = benchmark.metric()
    for scene in map(painted, seeds):
        present = {n: scene.boxes[[m == n for m in scene.names]] for n in dict.fromkeys(scene.names)}
        absent = [n for n in NAMES if n not in present]
        truth = SceneTruth.made(present, absent, scene.image.size, np.random.default_rng(0))
        sample = Sample("", scene.image, truth)
        metric.update(sample, benchmark.ask(app.look(scene.image), sample))
    return metric.compute()


def test_both_stages_learn_a_few_scenes_by_heart(tmp_path: Path) -> None:
    model = region_model()
    for layer in model.encoder.connector.mlp:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # it is there against exactly what this test wants
    encode(model, tmp_path, 12)
    records, seeds = training_records(tmp_path), range(12)
    few = QuestionConfig(3, 4, hard=0, everyday=0, general=0, references=1, namings=1)
    questions = maker(model, config=few)
    before, chance = figures(model, seeds), best_region_is_right(model, seeds)
    rates = {"encoder.*": 3e-3, "splice.pointer.*": 1e-2, "splice.*_rows": 2e-3}
    first = Stage("first", steps=20, batch=2, warmup=2, rates=rates)
    Trainer(model, SceneCourse(questions, records), first, tmp_path).run()
    rates |= {"language.*.down": 4e-3, "language.*.up": 4e-3}
    second = replace(first, name="second", steps=90, rank=4, rates=rates)
    Trainer(model, SceneCourse(questions, records), second, tmp_path).run()
    after = figures(model, seeds)
    assert chance < 0.6 and best_region_is_right(model, seeds) > 0.75
    assert before["AUC"] < 0.7 and after["AUC"] > 0.88


def test_the_recipe_runs_through_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smol, "load_untrained", lambda folder, config, dtype: region_model(classes=4))
    monkeypatch.setattr(smol, "ALIGN", replace(smol.ALIGN, steps=2, batch=2))
    monkeypatch.setattr(smol, "STAGE_1", replace(smol.STAGE_1, steps=1, batch=1))
    monkeypatch.setattr(smol, "STAGE_2", replace(smol.STAGE_2, steps=2, batch=5))
    monkeypatch.setattr(smol, "chat_prompts", lambda: ["Hello!", "Is it so?"])
    began = []

    def watched(model: RegionModel, *args: Any, **options: Any) -> None:
        pointer = model.splice.pointer
        began.append((pointer.query.weight.any().item(), pointer.phrase.weight - pointer.key.weight))
        align(model, *args, **options)

    monkeypatch.setattr(smol, "align", watched)
    ModelConfig("tiny", lora_rank=2).write(tmp_path)
    encode(region_model(classes=4), tmp_path / "features", 4)
    recipe = Recipe(tmp_path, tmp_path / "features", tmp_path / "out")
    train(recipe)
    stages = [smol.ALIGN, smol.STAGE_1, smol.STAGE_2]
    files = {f"{stage.name}.pt" for stage in stages} | {PLUGIN, "chats.json"}
    assert {path.name for path in recipe.out.iterdir()} == files
    ((hidden_asks, difference),) = began
    assert not hidden_asks and not difference.any(), "stage 0 begins as plain similarity"
    matched = torch.load(recipe.out / "stage0-match.pt", weights_only=True)
    assert "splice.pointer.phrase.weight" in matched and "splice.pointer.query.weight" not in matched
    state = load_file(recipe.out / PLUGIN)
    fresh, trained = region_model(classes=4), region_model(classes=4)
    load_plugin(trained, recipe.out)
    prefixes = ("encoder.connector.", "encoder.evidence.", "splice.", "base.model.layers.")
    assert all(any(key.startswith(prefix) for key in state) for prefix in prefixes)
    moved = {n for n, p in trained.named_parameters() if not torch.equal(p, fresh.get_parameter(n))}
    assert any(name.startswith("base.model.layers.") for name in moved) and "splice.input_rows" in moved
    (recipe.out / PLUGIN).unlink()
    monkeypatch.setattr(smol, "align", None)  # finished stages are read, not run
    train(recipe)
    again = load_file(recipe.out / PLUGIN)
    assert all(torch.equal(again[key], value) for key, value in state.items())

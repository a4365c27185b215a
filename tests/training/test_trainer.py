"""Resuming, saving on signals, accumulation, and what a step does; for scenes and for records."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fo1.data.record import ImageRef, Record
from fo1.data.settings import SettingError
from fo1.model import RegionModel
from fo1.training.check import RegionCheck
from fo1.training.checkpoint import TrainingError
from fo1.training.losses import batch_losses
from fo1.training.smol.chat import Chat, PlainTalk
from fo1.training.smol.recipe import STAGE_1, STAGE_2
from fo1.training.smol.scenes import SceneCourse
from fo1.training.stage import Stage
from fo1.training.tiny import INSTRUCT, tiny_model
from fo1.training.trainer import Progress, Trainer
from tiny import region_model
from training.miniature import maker, training_set
from training.scenes import ALIGN, course, records, talk

RECORDS = training_set(5, classes=4)
TUNE = Stage("tune", 6, dict(STAGE_2.rates), batch=2, warmup=2, rank=2, words=0.5, save_every=2)
LORA = replace(INSTRUCT, steps=6, batch=2, average=0.9)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Each asks for its labels, and for words."""
    asked = talk("What is <region0>?", "A disc.")
    painted = records(tmp_path_factory.mktemp("pictures"))
    return [replace(one, dialogues=(*one.dialogues, asked)) for one in painted]


def on_scenes(folder: Path, stage: Stage = TUNE, seed: int = 0, **options) -> Trainer:
    model = region_model(classes=4)
    return Trainer(model, SceneCourse(maker(model), RECORDS, seed), stage, folder, seed, **options)


def on_records(folder: Path, known: list[Record], stage: Stage = ALIGN, **options) -> Trainer:
    model = tiny_model().model
    return Trainer(model, course(model, known), stage, folder, **options)


def begin(folder: Path, known: list[Record], stage: Stage, **options) -> Trainer:
    if stage.name == "tune":
        return on_scenes(folder, stage, **options)
    return on_records(folder, known, stage, **options)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def training(model: nn.Module) -> set[str]:
    """Parts in training mode."""
    return {name for name, module in model.named_modules() if module.training}


def figures(history: list[Progress]) -> Tensor:
    return torch.tensor([(one.words, one.regions, one.norm, one.images, one.answers) for one in history])


@pytest.mark.parametrize("stage", [TUNE, ALIGN, LORA], ids=["scenes", "align", "instruct"])
def test_a_resumed_run_is_the_same_run(stage: Stage, known: list[Record], tmp_path: Path) -> None:
    whole = begin(tmp_path / "whole", known, stage)
    before = weights(whole.model)
    assert whole.run()
    first = begin(tmp_path / "parts", known, stage)
    assert first.run(until=3)
    torch.manual_seed(99)  # resuming must not depend on where the generator stands
    second = begin(tmp_path / "parts", known, stage)
    assert second.step == 3
    for name, weight in weights(first.model).items():
        assert torch.equal(second.model.get_parameter(name), weight), name
    assert second.run() and second.step == 6
    torch.testing.assert_close(figures(first.history + second.history), figures(whole.history))
    moved = set()
    for name, weight in weights(whole.model).items():
        torch.testing.assert_close(second.model.get_parameter(name), weight, atol=1e-5, rtol=1e-4, msg=name)
        if not torch.equal(weight, before[name]):
            moved.add(name)
    assert moved == set(whole.trained)
    if whole.average is not None:
        for name, weight in whole.average.kept.items():
            torch.testing.assert_close(second.average.kept[name], weight, atol=1e-5, rtol=1e-4, msg=name)


def test_what_no_pattern_names_stays_frozen(tmp_path: Path) -> None:
    run = on_scenes(tmp_path, replace(TUNE, rates=dict(STAGE_1.rates), rank=0))
    before = weights(run.model)
    run.run()
    moved = {
        name for name, weight in before.items() if not torch.equal(run.trained.get(name, weight), weight)
    }
    connector = {f"encoder.connector.{name}" for name, _ in run.model.encoder.connector.named_parameters()}
    assert moved == connector | {
        "splice.input_rows",
        "splice.output_rows",
        "splice.pointer.query.weight",
        "splice.pointer.query.bias",
    }
    for name, parameter in run.model.named_parameters():
        assert name in moved or torch.equal(parameter, before[name])
    assert not training(run.model)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_a_checkpoint(
    number: signal.Signals, known: list[Record], tmp_path: Path
) -> None:
    def interrupt(done: Progress) -> None:
        if done.step == 2:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    run = on_records(tmp_path, known, watch=[interrupt])
    assert not run.run() and run.step == 2
    assert signal.getsignal(number) == handler
    again = on_records(tmp_path, known)
    assert again.step == 2 and again.run() and again.step == ALIGN.steps


def test_it_saves_on_the_way(tmp_path: Path) -> None:
    stored = []

    def look(done: Progress) -> None:
        path = tmp_path / "tune.pt"
        stored.append(torch.load(path, weights_only=True)["step"] if path.exists() else 0)

    on_scenes(tmp_path, watch=[look]).run()
    assert stored == [0, 0, 2, 2, 4, 4] and torch.load(tmp_path / "tune.pt", weights_only=True)["step"] == 6


class Breaking(SceneCourse):
    """Fails to give the fourth step its scenes."""

    def take(self, count: int) -> list[int]:
        if self.position >= 3 * count:
            raise OSError("the disk is gone")
        return super().take(count)


def test_an_error_leaves_the_last_checkpoint_and_a_model_that_can_be_asked(tmp_path: Path) -> None:
    model = region_model(classes=4)
    broken = Trainer(model, Breaking(maker(model), RECORDS), TUNE, tmp_path)
    before = training(model)
    with pytest.raises(OSError, match="the disk is gone"):
        broken.run()
    assert training(model) == before
    rest, whole = on_scenes(tmp_path), on_scenes(tmp_path / "whole")
    assert rest.step == 2 and rest.run() and whole.run()
    for name, weight in weights(whole.model).items():
        torch.testing.assert_close(rest.model.get_parameter(name), weight, atol=1e-5, rtol=1e-4, msg=name)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
    known: list[Record], tmp_path: Path
) -> None:
    run = on_records(tmp_path, known)
    run.run(until=2)
    kept = run.path.read_bytes()
    next(run.model.encoder.parameters()).data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower the rates"):
        run.run()
    assert run.path.read_bytes() == kept


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    first = on_scenes(tmp_path, replace(TUNE, steps=2))
    first.run()
    again = on_scenes(tmp_path, replace(TUNE, steps=2))
    assert again.run() and not again.history
    for name, weight in weights(first.model).items():
        assert torch.equal(again.model.get_parameter(name), weight)


def test_seeds_differ(tmp_path: Path) -> None:
    runs = [on_scenes(tmp_path / str(seed), replace(TUNE, steps=1), seed) for seed in (0, 1)]
    for run in runs:
        run.run()
    assert not torch.equal(*(run.model.splice.input_rows for run in runs))


def test_a_step_is_the_same_however_it_is_split(known: list[Record], tmp_path: Path) -> None:
    """And its losses are means over all of its words, and over all of its labels."""
    runs = [
        on_records(tmp_path / str(batch), known, replace(ALIGN, batch=batch, accumulate=4 // batch))
        for batch in (4, 1)
    ]
    model = tiny_model().model
    shown = course(model, known)
    prepared = shown.prepare(shown.take(4))
    with torch.no_grad():
        losses = batch_losses(model, prepared)
    for run in runs:
        run.run(until=1)
        (one,) = run.history
        assert one.words == pytest.approx(losses.words.item() / sum(p.words for p in prepared), rel=1e-4)
        assert one.regions == pytest.approx(losses.regions.item() / sum(p.picks for p in prepared), rel=1e-4)
        assert (one.images, one.answers) == (4, sum(p.answers for p in prepared))
    assert runs[0].history[0].norm == pytest.approx(runs[1].history[0].norm, rel=1e-3)


def test_words_count_as_much_as_the_stage_says(known: list[Record], tmp_path: Path) -> None:
    norms = []
    for share in (1.0, 0.25):
        model = tiny_model("static").model
        run = Trainer(model, course(model, known), replace(ALIGN, words=share), tmp_path / str(share))
        run.run(until=1)
        norms.append(run.history[0].norm)
    assert norms[1] == pytest.approx(0.25 * norms[0], rel=1e-4)


def test_rates_follow_the_schedule(tmp_path: Path) -> None:
    run = on_scenes(tmp_path, Stage("s", 5, {"splice.pointer.*": 0.5}, batch=1, warmup=4))
    run.run(until=2)
    assert {group["lr"] for group in run.optimizer.param_groups} == {0.5 * run.stage.schedule(1)}


def test_a_step_without_usable_images_teaches_nothing(tmp_path: Path) -> None:
    """Not even weight decay acts."""
    (one,) = records(tmp_path, 1)
    run = on_records(tmp_path, [replace(one, image=ImageRef("missing.png", root=tmp_path))])
    before = weights(run.model)
    assert run.run() and [done.images for done in run.history] == [0] * ALIGN.steps
    assert all(torch.equal(run.model.get_parameter(name), weight) for name, weight in before.items())
    assert run.course.skipped == ALIGN.steps * ALIGN.batch


def test_bfloat16_keeps_what_is_trained_in_float32(known: list[Record], tmp_path: Path) -> None:
    model = tiny_model()
    model.model.to(torch.bfloat16)
    stage = replace(LORA, steps=2, precision="bfloat16", check_every=1)
    check = RegionCheck(model, known)
    run = Trainer(model.model, course(model.model, known), stage, tmp_path, check=check)
    assert run.run()
    assert {p.dtype for p in run.trained.values()} == {torch.float32}
    assert model.model.base.get_input_embeddings().weight.dtype == torch.bfloat16


def layer_runs(model: RegionModel) -> list[bool]:
    """Grows by one each time the decoder's first layer runs: is its dropout on?"""
    runs: list[bool] = []
    attention = model.base.get_decoder().layers[0].self_attn
    attention.register_forward_pre_hook(lambda module, _: runs.append(module.training))
    return runs


@pytest.mark.parametrize("stage", [TUNE, LORA], ids=["scenes", "instruct"])
def test_recomputing_changes_no_gradient(stage: Stage, known: list[Record], tmp_path: Path) -> None:
    steps = replace(stage, steps=2)
    plain, saving = (
        begin(tmp_path / str(recompute), known, replace(steps, recompute=recompute))
        for recompute in (False, True)
    )
    once, twice = layer_runs(plain.model), layer_runs(saving.model)
    assert plain.run() and saving.run()
    assert len(twice) == 2 * len(once) > 0 and not any(twice)
    torch.testing.assert_close(figures(saving.history), figures(plain.history))
    for name, weight in weights(plain.model).items():
        torch.testing.assert_close(saving.model.get_parameter(name), weight, atol=1e-5, rtol=1e-4, msg=name)
    assert training(saving.model) == training(plain.model)
    for part in map(vars, saving.model.base.get_decoder().modules()):
        assert not part.get("recompute") and not part.get("gradient_checkpointing")


def test_checks_measure_the_average_and_are_told(tmp_path: Path) -> None:
    told: list[tuple[int, dict[str, float]]] = []

    def rows() -> Tensor:
        return run.model.splice.input_rows.detach().clone()

    def check() -> dict[str, float]:
        assert not run.model.encoder.training
        return {"distance": (rows() - last[-1]).abs().max().item()}

    last: list[Tensor] = []
    hears: Callable[..., None] = lambda step, found: told.append((step, dict(found)))  # noqa: E731
    stage = replace(TUNE, steps=5, average=0.5, check_every=2)
    run = on_scenes(tmp_path, stage, check=check, watch=[lambda _: last.append(rows())], measured=[hears])
    run.run()
    assert [step for step, _ in told] == [2, 4, 5]
    assert all(found["distance"] > 0 for _, found in told)
    assert torch.equal(rows(), last[-1])
    with run.averaged():
        assert torch.equal(rows(), torch.load(run.path, weights_only=True)["average"]["splice.input_rows"])
    assert torch.equal(rows(), last[-1])


def test_kept_words_are_not_for_sharded_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = on_scenes(tmp_path)
    talked = PlainTalk.of([Chat("", "What?", (5, 6))], trainer.model.prompts)
    monkeypatch.setattr(trainer.course, "prepare", lambda taken: [talked])
    trainer.run(1)
    trainer.team.sharded = True
    with pytest.raises(SettingError, match="train unsharded"):
        trainer.run(2)

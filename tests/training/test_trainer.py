from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fo1.checkpoints import low_rank
from fo1.model import RegionModel
from fo1.training import trainer as module
from fo1.training.losses import Losses
from fo1.training.questions import QuestionMaker, Sample
from fo1.training.records import SceneRecord
from fo1.training.smol import STAGE_1, STAGE_2
from fo1.training.trainer import StageConfig, Trainer, parameter_groups, schedule
from tiny import region_model
from training.miniature import SEVERAL, maker, training_set

RECORDS = training_set(5, classes=4)
STAGE = StageConfig("stage", steps=20, rates=dict(STAGE_2.rates), batch=2, warmup=4, save_every=4)


def fresh() -> RegionModel:
    """The same model each time, ready for stage 2."""
    model = region_model(classes=4)
    torch.manual_seed(11)
    low_rank.attach(model.base.model, 2)
    return model


def trainer(folder: Path, stage: StageConfig = STAGE, questions: QuestionMaker | None = None) -> Trainer:
    model = fresh()
    return Trainer(model, questions or maker(model), RECORDS, stage, folder)


def weights(model: RegionModel) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


class Interrupting(QuestionMaker):
    """Asks so many times, then behaves as if Ctrl-C were pressed. watched: the step on disk at each call."""

    def __init__(self, model: RegionModel, calls: int, path: Path | None = None) -> None:
        other = maker(model)
        super().__init__(other.prompts, other.thesaurus, other.names, SEVERAL)
        self.calls, self.path = calls, path
        self.watched: list[int] = []

    def __call__(self, record: SceneRecord, rng: np.random.Generator) -> Sample:
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        if self.path is not None:
            there = self.path.exists()
            self.watched.append(torch.load(self.path, weights_only=True)["step"] if there else 0)
        return super().__call__(record, rng)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    run = trainer(tmp_path_factory.mktemp("whole"))
    run.run()
    return run


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path, whole_run: Trainer) -> None:
    model = fresh()
    broken = Trainer(model, Interrupting(model, calls=10 * STAGE.batch), RECORDS, STAGE, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    assert torch.load(broken.path, weights_only=True)["step"] == 10
    torch.manual_seed(99)  # resuming must not depend on where the generator stands
    rest = trainer(tmp_path)
    assert rest.step == 10
    rest.run()
    assert rest.step == 20
    for name, weight in weights(whole_run.model).items():
        torch.testing.assert_close(weight, weights(rest.model)[name], atol=1e-5, rtol=1e-4, msg=name)


def test_ctrl_c_in_a_step_keeps_what_was_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses, steps = module.batch_losses, []

    def pressed(model: RegionModel, samples: list[Sample]) -> Losses:
        steps.append(None)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return losses(model, samples)

    monkeypatch.setattr(module, "batch_losses", pressed)
    run = trainer(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert not run.model.encoder.training
    saved = torch.load(tmp_path / "stage.pt", weights_only=True)
    assert saved["step"] == 3 and not list(tmp_path.glob("*.partial"))
    for name, weight in run.trained().items():
        assert torch.equal(saved["weights"][name], weight)
    monkeypatch.undo()
    resumed = trainer(tmp_path)
    for name, weight in weights(run.model).items():
        assert torch.equal(weights(resumed.model)[name], weight)


def test_it_saves_on_the_way(tmp_path: Path) -> None:
    model = fresh()
    questions = Interrupting(model, calls=-1, path=tmp_path / "stage.pt")
    stage = StageConfig("stage", steps=6, rates=STAGE.rates, batch=1, save_every=2)
    Trainer(model, questions, RECORDS, stage, tmp_path).run()
    assert questions.watched == [0, 0, 2, 2, 4, 4]


def test_what_no_pattern_names_stays_frozen(tmp_path: Path) -> None:
    stage = StageConfig("stage", steps=3, rates=dict(STAGE_1.rates), batch=2, warmup=1)
    model = fresh()
    before = weights(model)
    run = Trainer(model, maker(model), RECORDS, stage, tmp_path)
    run.run()
    changed = {name for name, weight in weights(model).items() if not torch.equal(weight, before[name])}
    connector = {f"encoder.connector.{n}" for n, _ in model.encoder.connector.named_parameters()}
    query = {"splice.pointer.query.weight", "splice.pointer.query.bias"}
    assert changed == {"splice.input_rows", *query, *connector}
    assert set(run.trained()) == changed | {"splice.output_rows"}


def test_the_base_itself_never_moves(whole_run: Trainer) -> None:
    before, after = weights(fresh()), weights(whole_run.model)
    for name, weight in before.items():
        if name.startswith(("base.", "primary.", "auxiliary.")):
            moved = not torch.equal(weight, after[name])
            assert moved == name.endswith((".down", ".up")), name


def test_a_pattern_that_names_nothing_raises() -> None:
    stage = StageConfig("odd", steps=1, rates={"encoder.*": 1e-3, "encoder.conector.*": 1e-3})
    with pytest.raises(ValueError, match=r"stage odd.*encoder\.conector"):
        parameter_groups(region_model(), stage)


def test_patterns_of_stage_2_need_low_rank_factors() -> None:
    with pytest.raises(ValueError, match="down"):
        parameter_groups(region_model(classes=4), STAGE_2)


def test_each_pattern_has_its_rate() -> None:
    model = region_model()
    pointer, rows = parameter_groups(
        model, StageConfig("s", 1, {"splice.pointer.*": 0.1, "splice.*_rows": 0.2})
    )
    assert (pointer["lr"], rows["lr"]) == (0.1, 0.2)
    assert {id(p) for p in rows["params"]} == {id(model.splice.input_rows), id(model.splice.output_rows)}
    assert {id(p) for p in pointer["params"]} == {id(p) for p in model.splice.pointer.parameters()}
    assert sum(p.requires_grad for p in model.parameters()) == len(pointer["params"]) + 2


def test_the_rate_rises_then_falls_to_two_percent() -> None:
    stage = StageConfig("s", steps=100, rates={}, warmup=10)
    rates = [schedule(step, stage) for step in range(101)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3]) and rates[9] == rates[10] == 1
    assert rates[55] == pytest.approx(0.51)
    assert rates[100] == pytest.approx(0.02)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_rates_follow_the_schedule(tmp_path: Path) -> None:
    run = trainer(tmp_path, StageConfig("s", steps=2, rates={"splice.pointer.*": 0.5}, batch=1, warmup=4))
    run.run()
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * schedule(1, run.stage))


def test_every_epoch_shows_every_scene_once_in_a_new_order(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    shown = [id(record) for step in range(10) for record in run.batch(step)]  # 20 scenes, 4 epochs of 5
    epochs = [shown[i : i + 5] for i in range(0, 20, 5)]
    assert all(set(epoch) == {id(r) for r in RECORDS} for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [id(r) for r in run.batch(3)] == shown[6:8]


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    stage = StageConfig("s", steps=2, rates=STAGE.rates, batch=1)
    first = trainer(tmp_path, stage)
    first.run()
    model = fresh()
    again = Trainer(model, Interrupting(model, calls=0), RECORDS, stage, tmp_path)
    again.run()
    for name, weight in weights(first.model).items():
        assert torch.equal(weights(model)[name], weight)


def test_seeds_differ(tmp_path: Path) -> None:
    models = []
    for seed in (0, 1):
        model = fresh()
        stage = StageConfig("s", steps=1, rates=STAGE.rates, batch=1)
        Trainer(model, maker(model), RECORDS, stage, tmp_path / str(seed), seed).run()
        models.append(weights(model))
    assert not torch.equal(models[0]["splice.input_rows"], models[1]["splice.input_rows"])

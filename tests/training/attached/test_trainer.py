"""Resuming, saving on signals, accumulation, and what stages train."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fo1.data.settings import SettingError
from fo1.training.attached.check import RegionCheck
from fo1.training.attached.folding import fold
from fo1.training.attached.stage import parameter_groups
from fo1.training.attached.tiny import INSTRUCT, tiny_model
from fo1.training.attached.trainer import Trainer, TrainingError
from training.attached.scenes import ALIGN, lessons, records


def trainer(folder: Path, pictures: Path, stage=ALIGN, **options) -> Trainer:
    pictures.mkdir(exist_ok=True)
    return Trainer(tiny_model().model, lessons(records(pictures)), stage, folder, **options)


@pytest.mark.parametrize("stage", [ALIGN, replace(INSTRUCT, steps=6, batch=2)], ids=["align", "instruct"])
def test_a_resumed_run_is_the_same_run(stage, tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", tmp_path / "p", stage)
    before = {name: p.detach().clone() for name, p in whole.model.named_parameters()}
    assert whole.run()
    first = trainer(tmp_path / "parts", tmp_path / "p", stage)
    assert first.run(until=3)
    second = trainer(tmp_path / "parts", tmp_path / "p", stage)
    assert second.step == 3 and second.run()
    losses = [(one.words, one.regions) for one in [*first.history, *second.history]]
    torch.testing.assert_close(
        torch.tensor(losses), torch.tensor([(one.words, one.regions) for one in whole.history])
    )
    for (name, one), other in zip(whole.model.named_parameters(), second.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4, msg=name)
        if name not in whole.trained:
            assert torch.equal(one, before[name]), name
    assert any(not torch.equal(whole.trained[name], before[name]) for name in whole.trained)
    assert not list((tmp_path / "whole").glob("*.partial"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_a_checkpoint(number: signal.Signals, tmp_path: Path) -> None:
    def interrupt() -> dict[str, float]:
        os.kill(os.getpid(), number)
        return {}

    handler = signal.getsignal(number)
    run = trainer(tmp_path, tmp_path / "p", replace(ALIGN, check_every=2), check=interrupt)
    assert not run.run() and run.step == 2
    assert signal.getsignal(number) == handler
    again = trainer(tmp_path, tmp_path / "p")
    assert again.step == 2 and again.run() and again.step == ALIGN.steps


def test_a_step_is_the_same_however_it_is_split(tmp_path: Path) -> None:
    one = trainer(tmp_path / "1", tmp_path / "p", replace(ALIGN, batch=4))
    four = trainer(tmp_path / "4", tmp_path / "p", replace(ALIGN, batch=1, accumulate=4))
    one.run(until=1), four.run(until=1)
    assert one.history[0].regions == pytest.approx(four.history[0].regions, rel=1e-4)
    assert one.history[0].norm == pytest.approx(four.history[0].norm, rel=1e-3)


def test_bfloat16_keeps_what_is_trained_in_float32(tmp_path: Path) -> None:
    model = tiny_model()
    model.model.to(torch.bfloat16)
    known = records(tmp_path)
    with pytest.raises(SettingError, match="bfloat16"):
        parameter_groups(model.model, ALIGN)
    stage = replace(INSTRUCT, steps=2, batch=2, precision="bfloat16", check_every=1)
    run = Trainer(model.model, lessons(known), stage, tmp_path, check=RegionCheck(model, known))
    assert run.run()
    assert {p.dtype for p in run.trained.values()} == {torch.float32}
    assert model.model.base.get_input_embeddings().weight.dtype == torch.bfloat16


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path, tmp_path / "p")
    run.run(until=2)
    kept = run.path.read_bytes()
    next(run.model.encoder.parameters()).data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="lower the rates"):
        run.run()
    assert run.path.read_bytes() == kept


def test_a_checkpoint_of_another_stage_or_a_torn_one_is_refused(tmp_path: Path) -> None:
    run = trainer(tmp_path, tmp_path / "p")
    run.save()
    with pytest.raises(TrainingError, match="other parameters"):
        trainer(tmp_path, tmp_path / "p", replace(ALIGN, rates={"encoder.*": 1e-3}))
    run.path.write_bytes(run.path.read_bytes()[:500])
    with pytest.raises(TrainingError, match="does not load"):
        trainer(tmp_path, tmp_path / "p")


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"encodr.*": 1.0}, "names no parameter"),
        ({"base.*": 1.0}, "eyes stay frozen"),
        ({"encoder.*": 1.0, "encoder.connector.*": 1.0}, "patterns before it"),
    ],
)
def test_patterns_that_make_no_sense(rates: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parameter_groups(tiny_model().model, replace(ALIGN, rates=rates))


def test_folded_factors_are_in_the_weights(tmp_path: Path) -> None:
    run = trainer(tmp_path, tmp_path / "p", replace(INSTRUCT, steps=2, batch=2))
    run.run()
    decoder = run.model.base.get_decoder()
    embedded = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = decoder(inputs_embeds=embedded).last_hidden_state
        fold(decoder)
        after = decoder(inputs_embeds=embedded).last_hidden_state
    assert not any(name.endswith((".up", ".down")) for name, _ in decoder.named_parameters())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)

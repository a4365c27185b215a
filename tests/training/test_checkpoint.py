"""What a checkpoint brings back, and which files are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fo1.training import checkpoint
from fo1.training.checkpoint import TrainingError
from fo1.training.smol.scenes import SceneCourse
from fo1.training.stage import Stage
from fo1.training.trainer import Trainer
from tiny import region_model
from training.miniature import maker, training_set

STAGE = Stage("s", 4, {"splice.*": 1e-2, "encoder.*": 1e-3}, batch=1, warmup=1, average=0.5)
RECORDS = training_set(2)


def begun(folder: Path, stage: Stage = STAGE) -> Trainer:
    model = region_model()
    return Trainer(model, SceneCourse(maker(model), RECORDS), stage, folder)


def test_everything_comes_back(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.run(until=2)
    again = begun(tmp_path)
    assert again.step == 2 and again.course.state_dict() == first.course.state_dict()
    for name, parameter in first.trained.items():
        assert torch.equal(again.trained[name], parameter), name
        assert torch.equal(again.average.kept[name], first.average.kept[name]), name
        ours, theirs = (run.optimizer.state[run.trained[name]] for run in (first, again))
        assert ours.keys() == theirs.keys() and ours["exp_avg"].any()
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items()), name
    rates = [[group["lr"] for group in run.optimizer.param_groups] for run in (first, again)]
    assert rates[0] == rates[1]


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tmp_path)
    run.run(until=1)
    kept = run.path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["s.pt"]

    def full(state: object, file: object) -> None:
        file.write(b"half a ch")  # type: ignore[attr-defined]
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        run.save()
    assert run.path.read_bytes() == kept
    monkeypatch.undo()
    assert begun(tmp_path).step == 1


def test_an_average_may_come_and_go_between_runs(tmp_path: Path) -> None:
    begun(tmp_path, replace(STAGE, average=0.0)).run(until=2)
    joined = begun(tmp_path)
    assert joined.step == 2
    assert all(torch.equal(joined.average.kept[name], value) for name, value in joined.trained.items())
    joined.run(until=3)
    assert begun(tmp_path, replace(STAGE, average=0.0)).step == 3


def test_a_stage_that_trains_other_parameters(tmp_path: Path) -> None:
    begun(tmp_path).save()
    with pytest.raises(TrainingError, match="s.pt is of a stage that trains other parameters"):
        begun(tmp_path, replace(STAGE, rates={"encoder.*": 1e-3}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a checkpoint"),
        lambda path: torch.save({"step": 1}, path),
    ],
    ids=["torn", "empty", "text", "no weights"],
)
def test_a_file_that_does_not_load(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.save()
    spoil(run.path)
    with pytest.raises(TrainingError, match=r"(?s)s\.pt does not load .*delete it to start anew"):
        begun(tmp_path)

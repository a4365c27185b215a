from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evaluation.answers import Tiles, tiles, tiny_model
from fo1.cli import common
from fo1.cli.main import app
from fo1.evaluation import benchmarks
from fo1.registry import Registry


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the benchmark `tiles` in data/, which is the only one known; the model is tiny."""
    registry: Registry = Registry("fo1.benchmarks")
    registry.register("tiles")(Tiles)
    monkeypatch.setattr(benchmarks, "BENCHMARKS", registry)
    monkeypatch.setattr(common, "load_model", lambda settings: tiny_model())
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    tiles(Path("data"))
    return tmp_path


def fo1(*words: str) -> Result:
    return CliRunner().invoke(app, ["eval", *words], catch_exceptions=False)


def test_a_run_prints_the_metrics_and_keeps_the_rest() -> None:
    pytest.importorskip("matplotlib")
    result = fo1("tiles", "--data", "data", "--out", "out", "--batch", "3")
    assert result.exit_code == 0
    assert "F1" in result.stdout and "8 samples, 0 failed" in result.stdout
    assert {"predictions.jsonl", "report.json", "report.md", "worst.md", "pr.png"} <= {
        path.name for path in Path("out").iterdir()
    }
    before = Path("out/predictions.jsonl").read_bytes()
    assert fo1("--out", "out", "--data", "data", "tiles").exit_code == 0, "options may come first"
    assert Path("out/predictions.jsonl").read_bytes() == before


def test_json_alone_on_standard_output() -> None:
    result = fo1("tiles", "--data", "data", "--limit", "3", "--json", "-")
    found = json.loads(result.stdout)
    assert set(found) == {"metrics", "samples", "failed"} and found["samples"] == 3
    assert fo1("tiles", "--data", "data", "--split", "test", "--json", "m.json").exit_code == 0
    assert json.loads(Path("m.json").read_text())["samples"] == 8
    assert not Path("out").exists()


def test_the_threshold_and_the_proposals_are_used() -> None:
    pytest.importorskip("matplotlib")
    boxes = {f"{number}.png": {"boxes": [[0, 0, 40, 30]]} for number in range(4)}
    Path("boxes.json").write_text(json.dumps(boxes))
    words = ("tiles", "--data", "data", "--proposals", "boxes.json", "--threshold", "0", "--json", "-")
    # The one box is named for "tile", which is right, and for "dog", which is not.
    assert json.loads(fo1(*words).stdout)["metrics"]["F1"] == 0.5
    assert fo1(*words, "--out", "out").exit_code == 0
    result = fo1("tiles", "--data", "data", "--out", "out")
    assert result.exit_code == 2 and result.stdout == ""
    assert "threshold was 0.0, is 0.5" in result.stderr and "choose another --out" in result.stderr


def test_failed_samples_are_named_and_score_zero() -> None:
    Path("data/1.png").write_bytes(b"broken")
    result = fo1("tiles", "--data", "data", "--json", "-")
    assert result.exit_code == 0 and json.loads(result.stdout)["failed"] == 2
    assert "val/1.png/tile failed" in result.stderr
    for path in Path("data").glob("*.png"):
        path.unlink()
    result = fo1("tiles", "--data", "data")
    assert result.exit_code == 2 and "all 8 samples failed" in result.stderr
    assert "… and 3 more failed" in result.stderr


def test_two_runs_are_compared() -> None:
    pytest.importorskip("matplotlib")
    fo1("tiles", "--data", "data", "--out", "a")
    fo1("tiles", "--data", "data", "--out", "b", "--threshold", "0.9")
    result = fo1("compare", "a", "b", "--resamples", "20")
    assert result.exit_code == 0 and "difference" in result.stdout and "8 samples" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines()) and " … " in result.stdout
    found = json.loads(fo1("compare", "a", "b", "--resamples", "20", "--json", "-").stdout)
    assert [run["threshold"] for run in found["runs"]] == [0.5, 0.9]
    assert set(found["metrics"]["F1"]) == {"first", "second", "difference"}


def test_the_list_says_what_there_is() -> None:
    shown = fo1("list").stdout
    assert "tiles" in shown and "splits: val, test" in shown and "--data: tiles.json" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tile", "--data", "data"], "unknown fo1.benchmarks 'tile'; did you mean 'tiles'?"),
        (["tiles"], "tiles needs --data"),
        (["tiles", "--data", "nix"], "--data nix is no folder"),
        (["tiles", "--data", "data", "--split", "x"], "no split 'x'; it has val, test"),
        (["tiles", "--data", "data", "--proposals", "nix.json"], "--proposals nix.json: no such file"),
        (["tiles", "--data", "data", "--out", "data/tiles.json"], "cannot be written"),
        (["tiles", "--data", "data", "--json", "nix/x.json"], "--json nix/x.json cannot be written"),
        (["tiles", "--data", "data", "--limit", "0"], "Invalid value for '--limit'"),
        (["compare", "data", "data"], "data is no folder of a run"),
        (["compare", "data"], "Missing argument 'B'"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], message: str) -> None:
    result = fo1(*words)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_help() -> None:
    assert "fo1 eval compare runs/theirs runs/mine" in fo1().stdout
    assert "compare" in fo1("--help").stdout and "--proposals" in fo1("run", "--help").stdout

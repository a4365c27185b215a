"""`fo1 label --engine vllm`: rows as the plain engine writes them, and runs that go on where they stopped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from labeling.conftest import fill
from vllm_models import Ascending, write_native

pytest.importorskip("vllm.config")
pytestmark = pytest.mark.vllm

from fo1.cli.main import app  # noqa: E402
from fo1.labeling.votes import FLOOR  # noqa: E402
from fo1.vllm import voting  # noqa: E402
from fo1.vllm.engine import Engine  # noqa: E402
from fo1.vllm.exported import export  # noqa: E402
from fo1.vllm.options import parse_options  # noqa: E402
from fo1.vllm.voting import load_engine  # noqa: E402

VLLM = "vllm?enforce_eager=true&max_model_len=1024&max_num_seqs=64"
VOTES = "votes-00000.jsonl"

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("vllm") / "native")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """Engines that were started, to be used again."""
    return {}


@pytest.fixture
def run(folder: Path, tmp_path: Path, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in a folder of images."""
    fill(tmp_path / "images")
    (tmp_path / "images" / "05.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    load = voting.load_engine

    def once(model: str, options: dict[str, Any]) -> Any:
        made["options"] = options
        return made.setdefault("engine", load(model, options) if "engine" not in made else None)

    monkeypatch.setattr(voting, "load_engine", once)
    usual = ("--model", folder, "--dtype", "float32", "--labels", "cat, red dog", "--batch", "4")
    return lambda *words: CliRunner().invoke(
        app, [str(word) for word in (words[0], *words[1:], *usual)], catch_exceptions=False
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / VOTES).read_text().splitlines()]


def assert_alike(ours: Path, theirs: Path) -> None:
    """Two runs said the same. Scores have four decimals, and the last depends on what vLLM read together."""
    for want, got in zip(rows(theirs), rows(ours), strict=True):
        votes = (want.pop("votes", {}), got.pop("votes", {}))
        absence = (want.pop("absence", {}), got.pop("absence", {}))
        boxes = (want.pop("boxes", []), got.pop("boxes", []))
        assert got == want
        np.testing.assert_allclose(boxes[1], boxes[0], atol=0.02)
        assert absence[1] == pytest.approx(absence[0], abs=2e-4)
        assert list(votes[1]) == list(votes[0])
        for label in votes[0]:
            left, right = (dict(side[label]) for side in votes)  # nearly equal scores may have changed places
            for region in left.keys() | right.keys():
                assert right.get(region, FLOOR) == pytest.approx(left.get(region, FLOOR), abs=2e-4)


def test_rows_are_those_of_the_plain_engine(
    run: Run, made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fo1.scoring.Grammar", Ascending)
    assert run("label", "images", "--out", "plain", "--device", "cpu").exit_code == 0
    done = run("label", "images", "--out", "vllm", "--engine", VLLM)
    assert done.exit_code == 0 and "05.png failed" in done.stderr, done.stderr
    assert made["options"] == {
        "dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "max_num_seqs": 64
    }  # fmt: skip
    assert_alike(Path("vllm"), Path("plain"))
    mixed = run("label", "images", "--out", "mixed", "--device", "cpu", "--engine", VLLM)
    assert mixed.exit_code == 2 and "--device" in mixed.stderr


def test_a_run_goes_on_where_it_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("label", "images", "--engine", VLLM)
    assert run(*words, "--out", "whole").exit_code == 0
    whole = Path("whole", VOTES).read_bytes()
    Path("part").mkdir()
    Path("part", "run.json").write_bytes(Path("whole", "run.json").read_bytes())
    # As after kill -9: a batch, and half a line.
    end = whole.index(b'"last": true}') + len(b'"last": true}\n')
    Path("part", VOTES).write_bytes(whole[: end + 40])
    again = run(*words, "--out", "part")
    assert again.exit_code == 0 and "4 of 12 images are done already" in again.stderr
    assert_alike(Path("part"), Path("whole"))
    other = run("label", "images", "--out", "part", "--retry", "--device", "cpu")
    assert other.exit_code == 2 and "is of another run (weights was" in other.stderr


def test_an_exported_folder_writes_its_answers(folder: Path, tmp_path: Path) -> None:
    """Its config.json is the base's, which says nothing of a format of ours."""
    exported = export(folder, tmp_path / "exported")
    engine = load_engine(str(exported), {"dtype": "float32", **parse_options(VLLM)})
    assert isinstance(engine, Engine) and len(voting.weights(engine)) == 16


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("vllm?tensor_parallel_size=two", "vLLM: tensor_parallel_size"),
        ("vllm?num_gpu_blocks_override=1", "vLLM: "),
        ("vllm?dtype=int8", "vLLM has no int8"),
    ],
)
def test_what_vllm_refuses(written: str, why: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "load_engine", load_engine)
    done = run("label", "images", "--out", "none", "--engine", written)
    assert done.exit_code == 2 and why in done.stderr.splitlines()[-1], done.stderr


def test_with_proposals_as_an_earlier_stage(run: Run) -> None:
    assert run("label", "images", "--out", "own", "--engine", VLLM).exit_code == 0
    named = run("label", "images", "--out", "named", "--engine", VLLM, "--proposer", "nanodet")
    assert named.exit_code == 0, named.stderr
    assert_alike(Path("named"), Path("own"))


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("vllm?tensor_paralel_size=2", "vLLM knows no tensor_paralel_size"),
        ("vlm", "it is plain, ray"),
        ("ray+vllm?workers=0", "it is plain, ray"),
        ("vllm?dtype", "vllm?dtype"),
    ],
)
def test_a_misspelt_engine(run: Run, written: str, why: str) -> None:
    done = run("label", "images", "--out", "none", "--engine", written)
    assert done.exit_code == 2 and why in done.stderr, done.stderr


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_on_ray(run: Run, cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of Ray's workers holds an engine; proposals are a stage before it."""
    words = ("label", "images", "--proposer", "nanodet")
    assert run(*words, "--out", "here", "--engine", VLLM).exit_code == 0
    done = run(*words, "--out", "ray", "--engine", "ray+" + VLLM + "&workers=1&cpus=1")
    assert done.exit_code == 0, done.stderr
    assert_alike(Path("ray"), Path("here"))
    ours, theirs = (json.loads(Path(one, "run.json").read_text())["settings"] for one in ("here", "ray"))
    assert ours == theirs

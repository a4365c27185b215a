from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from fo1 import FO1
from fo1.errors import Fo1Error
from fo1.labeling.ledger import Ledger, Row
from fo1.labeling.pipeline import Engine, answered, batches, keep
from fo1.labeling.ray_engine import Answerer, Reader, spread
from fo1.labeling.resources import Resources
from fo1.labeling.sources import gather
from labeling import ray_tiny
from labeling.conftest import Run
from tiny import BOXES, StubProposer, region_model

TWO = Resources(workers=2, cpus=0.5)
VOTES = "votes-00000.jsonl"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray on this machine, with room for two workers and a reader, which import the tests' models."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def votes(folder: Path, images: Path, engine: Engine) -> bytes:
    """What a run writes."""
    with Ledger.writing(folder, "votes", {}, {}) as ledger:
        keep(engine(gather([str(images)])), ledger)
    return (folder / VOTES).read_bytes()


def plain(model: FO1) -> Engine:
    return lambda sources: answered(sources, ray_tiny.ask(model), batch=2)


def test_the_stages_do_what_the_plain_engine_does(images: Path) -> None:
    (images / "05.png").write_bytes(b"no image")
    sources = gather([str(images)])
    reader, answerer = Reader(ray_tiny.load_finder), Answerer(ray_tiny.load, ray_tiny.ask)
    rows: list[Row] = []
    for group in batches(sources, 3):
        found, known = pickle.loads(answerer(reader({"batch": pickle.dumps(group)}))["batch"])
        rows += found
        assert known["threshold"] == 0.5 and known["proposals"] == "" and len(known["weights"]) == 16
    model = FO1(region_model(proposer=StubProposer(BOXES[::2])), ray_tiny.load().settings)
    assert rows == [row for some in answered(sources, ray_tiny.ask(model), 3) for row in some]
    assert [row["image"] for row in rows if "error" in row] == ["05.png"]


def test_what_cannot_be_loaded_is_told(images: Path) -> None:
    batch = {"batch": pickle.dumps(gather([str(images)]))}
    said = pickle.loads(Answerer(ray_tiny.load_nothing, ray_tiny.ask)(Reader()(batch))["batch"])
    assert isinstance(said, Fo1Error) and str(said) == "no model here"
    passed_on = Answerer(ray_tiny.load, ray_tiny.ask)(Reader(ray_tiny.load_nothing)(batch))  # type: ignore[arg-type]
    assert str(pickle.loads(passed_on["batch"])) == "no model here"


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed(
    cluster: None, images: Path, tmp_path: Path, tiny_fo1: FO1
) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()

    def kill() -> None:
        last = time.monotonic() + 200
        while len(pids := sorted(seen.iterdir())) < 2 and time.monotonic() < last:
            time.sleep(0.05)
        os.kill(int(pids[0].name), signal.SIGKILL)

    with Ledger.writing(tmp_path / "ray", "votes", {}, {}) as ledger:
        engine = spread(ledger, ray_tiny.load, partial(ray_tiny.ask, seen=seen), None, TWO, batch=2)
        killer = Thread(target=kill)
        killer.start()
        keep(engine(gather([str(images)])), ledger)
        killer.join()
        assert ledger.settings["threshold"] == tiny_fo1.settings.threshold
    assert len(list(seen.iterdir())) == 3  # another took its place
    assert (tmp_path / "ray" / VOTES).read_bytes() == votes(tmp_path / "plain", images, plain(tiny_fo1))


@pytest.mark.slow
def test_by_the_command_line_and_from_storage(
    cluster: None, run: Run, images: Path, released_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # a model that workers can load
    monkeypatch.chdir(images.parent)
    (images / "05.png").write_bytes(b"no image")
    words = ("--labels", "cat, red dog", "--batch", "2", "--format", "coco", "--model", released_folder)
    words += ("--device", "cpu", "--dtype", "float32", "--proposer", "cached:boxes.jsonl")
    run("propose", "images", "--out", "boxes.jsonl")
    engine = ("--engine", "ray?workers=2&cpus=0.5")
    assert run("label", "images", *words, "--out", "plain").exit_code == 0
    done = run("label", f"file://{images}", *words, "--out", "ray", *engine)
    assert done.exit_code == 0 and "05.png failed: " in done.stderr, done.stderr
    ours, theirs = (Path(folder, VOTES).read_text().splitlines() for folder in ("ray", "plain"))
    differ = [line for line, other in zip(ours, theirs, strict=True) if line != other]
    assert len(differ) == 1 and '"05.png", "error"' in differ[0]  # which names the place
    coco = [Path(folder, "coco/annotations.json").read_bytes() for folder in ("ray", "plain")]
    assert coco[0] == coco[1]
    again = run("label", f"file://{images}", *words, "--out", "ray")  # engines may follow one another
    assert again.exit_code == 0 and "12 of 12 images are done already" in again.stderr
    none = run("label", "images", "-l", "cat", "-o", "none", "--model", "nix", *engine)
    assert none.exit_code == 2 and "no model 'nix'" in none.stderr.splitlines()[-1]

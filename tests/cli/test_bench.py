from __future__ import annotations

import json

import pytest

from cli.fakes import Run
from fo1.bench import rivals
from fo1.cli import common
from fo1.pipeline import FO1
from fo1.settings import Settings
from tiny import region_model


@pytest.fixture(autouse=True)
def tiny(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that works, and less of everything."""
    monkeypatch.setattr(common, "load_model", lambda _: FO1(region_model(), Settings("tiny")))
    for name, value in (("QUESTIONS", (1,)), ("BATCH", 1), ("PYRAMID", (32, 1))):
        monkeypatch.setattr(rivals, name, value)


def test_json_alone_on_standard_output(run: Run) -> None:
    result = run("bench", "--image", "a.png", "--repeat", "1", "--json", "-")
    record = json.loads(result.stdout)
    assert record["model"] == "tiny" and record["size"] == [100, 80] and record["regions"] == 6
    assert {"seconds", "memory_mib", "ratios", "tokens"} <= record.keys()


def test_table(run: Run) -> None:
    lines = run("bench", "--repeat", "1").stdout.splitlines()
    assert lines[0].startswith("tiny · 640×480 · 30 regions")
    assert [line.split()[0] for line in lines if line.split()].count("prefill") == 1


def test_an_image_that_is_not_there(run: Run) -> None:
    result = run("bench", "--image", "nowhere.png")
    assert result.exit_code == 2 and "nowhere.png" in result.stderr

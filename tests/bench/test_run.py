from __future__ import annotations

import json

import pytest

from fo1.bench import rivals
from fo1.bench.run import run
from fo1.errors import RegionError
from fo1.pipeline import FO1
from fo1.settings import Settings
from tiny import StubProposer, picture, region_model

STAGES = ("load", "auxiliary", "proposals", "primary", "pooling", "prefill", "decode", "first", "further")
ASKED, BATCH = (1, 3), 2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything: what is tested is that all is measured."""
    monkeypatch.setattr(rivals, "QUESTIONS", ASKED)
    monkeypatch.setattr(rivals, "BATCH", BATCH)
    monkeypatch.setattr(rivals, "PYRAMID", (32, 3))


@pytest.mark.parametrize("dynamic", [True, False], ids=["scores", "writes"])
def test_everything_is_measured(dynamic: bool) -> None:
    results = run(FO1(region_model(dynamic), Settings("tiny", 0.5)), 1.5, picture(), repeat=1)
    record = json.loads(json.dumps(results.to_dict()))
    seconds, memory, ratios = (record[name] for name in ("seconds", "memory_mib", "ratios"))
    assert seconds["load"] == 1.5 and seconds.keys() == memory.keys()
    questions = {f"{kind}_{k}" for kind in ("reuse", "reread", "relook", "labels") for k in ASKED}
    assert seconds.keys() >= {*STAGES, *questions, "single_2", "batch_2", "pooling_ours", "pooling_direct"}
    assert all(value > 0 for value in [*seconds.values(), *memory.values(), *ratios.values()])
    assert ratios.keys() == {
        "pooling",
        "batch_2",
        "coordinates_tokens",
        *(f"{kind}_{k}" for kind in ("reuse", "reread") for k in ASKED),
    }
    assert list(memory.values()) == sorted(memory.values())
    assert record["regions"] == 6 and record["size"] == [80, 60]
    # Four numbers take more letters than one name.
    assert ratios["coordinates_tokens"] > 1


def test_a_drawn_picture_needs_no_proposals() -> None:
    model = FO1(region_model(proposer=StubProposer([])), Settings("tiny"))
    assert run(model, 0.0, repeat=1).regions == 30
    with pytest.raises(RegionError, match="nothing is proposed"):
        run(model, 0.0, picture())

"""Two processes on this machine learn what one would, with whole and with split weights.

torchrun starts them for the first half, `accelerate launch` with our settings for the second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fo1.data.reading import write
from fo1.training.machines import settings
from training.scenes import records
from training.team_run import STEPS, run

TESTS = Path(__file__).parents[1]


TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]


def accelerate(name: str) -> list[str]:
    """With settings of our own; any free port."""
    file = str(settings()[name])
    return ["-m", "accelerate.commands.launch", "--config_file", file, "--main_process_port", "0"]


def together(folder: Path, pictures: Path, launch: list[str], mode: str, until: int) -> list[dict]:
    folder.mkdir(exist_ok=True)
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    script = [str(TESTS / "training" / "team_run.py"), str(folder), str(pictures), mode, str(until)]
    done = subprocess.run(
        [sys.executable, *launch, *script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["whole", "sharded"])
def test_two_processes_learn_what_one_does(mode: str, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write(records(pictures, 6), pictures / "train.jsonl")
    alone = run(tmp_path / "alone", pictures, batch=2, sharded=False)
    expected = [(one.words, one.regions, one.norm, one.images) for one in alone.history]
    begun = together(tmp_path / "both", pictures, TORCHRUN, mode, 2)
    launch = accelerate("cpus_fsdp2" if mode == "sharded" else "cpus")
    halves = [begun, together(tmp_path / "both", pictures, launch, "as launched", STEPS)]
    for rank in range(2):
        for half in halves:
            assert (half[rank]["sharded"] > 10) is (mode == "sharded")
        history = [step for half in halves for step in half[rank]["history"]]
        torch.testing.assert_close(torch.tensor(history), torch.tensor(expected), rtol=1e-3, atol=1e-5)
    one, two = (torch.load(tmp_path / name / "instruct.pt", weights_only=True) for name in ("alone", "both"))
    assert one["course"] == two["course"] and one["step"] == two["step"] == STEPS
    for key in ("weights", "average"):
        for name, value in one[key].items():
            torch.testing.assert_close(two[key][name], value, rtol=1e-2, atol=2e-4, msg=f"{key} {name}")

"""Both stages from end to end; `make train-tiny` is the same for longer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fo1.training.tiny import ALIGN, INSTRUCT, train_tiny


def test_both_stages_run_and_measure(tmp_path: Path) -> None:
    stages = (replace(ALIGN, steps=2), replace(INSTRUCT, steps=2))
    before, after = train_tiny(tmp_path, scenes=4, held_out=2, stages=stages)
    assert before["F1"] < 0.5 and set(after) == {"F1", "precision", "recall", "refused"}
    assert (tmp_path / "align.pt").is_file() and (tmp_path / "instruct.pt").is_file()

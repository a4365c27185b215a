from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fo1.training.journal import Journal
from fo1.training.trainer import Progress


def told(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would draw: step and value."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(e.step, round(e.value, 3)) for e in events.Scalars(name)] for name in events.Tags()["scalars"]
    }


def test_a_resumed_run_goes_on_in_the_same_figures(tmp_path: Path) -> None:
    for step in (1, 2):  # a process each
        journal = Journal(tmp_path / "logs")
        journal.step(Progress(step, 0.5, 2.5 * step, 3.0, images=4, answers=9, seconds=2.0, waited=0.5))
        journal.check(step, {"F1": 0.25 * step})
    assert told(tmp_path / "logs") == {
        "training/words": [(1, 0.5), (2, 0.5)],
        "training/regions": [(1, 2.5), (2, 5.0)],
        "training/drift": [(1, 0.0), (2, 0.0)],
        "training/norm": [(1, 3.0), (2, 3.0)],
        "speed/answers per second": [(1, 4.5), (2, 4.5)],
        "speed/idle share": [(1, 0.25), (2, 0.25)],
        "check/F1": [(1, 0.25), (2, 0.5)],
    }

from __future__ import annotations

import pytest

from fo1.errors import Fo1Error
from fo1.labeling.resources import Resources


def test_how_they_are_written() -> None:
    assert Resources.parse("ray") == Resources()
    chosen = Resources.parse("ray?workers=8&gpus=0.5&cpus=2&readers=3&reader_gpus=1")
    assert chosen == Resources(workers=8, cpus=2, gpus=0.5, readers=3, reader_gpus=1)


@pytest.mark.parametrize(
    "written", ["rai", "ray?workers=0", "ray?workers=two", "ray?gpu=1", "ray?cpus=-1", "plain?workers=2"]
)
def test_what_is_none(written: str) -> None:
    with pytest.raises(Fo1Error, match=r"it is plain, ray\["):
        Resources.parse(written)


def test_as_many_workers_as_there_is_room_for() -> None:
    assert Resources().fitted({"CPU": 8}) == 7
    assert Resources(cpus=2).fitted({"CPU": 8}) == 3
    assert Resources(gpus=1).fitted({"CPU": 64, "GPU": 4}) == 4
    assert Resources(gpus=1, reader_gpus=1).fitted({"CPU": 64, "GPU": 4}) == 3
    assert Resources(workers=2).fitted({"CPU": 8}) == 2


def test_no_room_is_told_before_ray_would_wait_for_ever() -> None:
    with pytest.raises(Fo1Error, match="2 workers and a reader do not fit into 2 CPUs and 0 GPUs"):
        Resources(workers=2).fitted({"CPU": 2})
    with pytest.raises(Fo1Error, match="1 workers and a reader"):
        Resources(gpus=1).fitted({"CPU": 2})


def test_what_is_rays_and_what_is_vllms() -> None:
    assert Resources.split("plain") == (None, None)
    assert Resources.split("vllm?dtype=half") == (None, "vllm?dtype=half")
    assert Resources.split("ray?workers=2") == (Resources(workers=2), None)
    both = Resources.split("ray+vllm?workers=2&max_num_seqs=64&gpus=0.5")
    assert both == (Resources(workers=2, gpus=0.5), "vllm?max_num_seqs=64")

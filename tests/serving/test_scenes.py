"""Which scenes are kept."""

from __future__ import annotations

import pytest

from fo1 import FO1
from fo1.serving.problems import Problem
from fo1.serving.scenes import Scenes, size_of
from tiny import picture


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(scenes: Scenes, *ids: str) -> list[bool]:
    def there(id: str) -> bool:
        try:
            scenes.get(id)
        except Problem:
            return False
        return True

    return [there(id) for id in ids]


def test_the_least_lately_used_goes(tiny_fo1: FO1) -> None:
    scenes = Scenes(most=2)
    first, second = (scenes.add(tiny_fo1.look(picture(seed)), "x") for seed in range(2))
    scenes.get(first)
    third = scenes.add(tiny_fo1.look(picture(2)), "x")
    assert kept(scenes, first, second, third) == [True, False, True]


def test_time_counts_from_the_last_use(tiny_fo1: FO1) -> None:
    clock = Clock()
    scenes = Scenes(lasting=10, clock=clock)
    first, second = (scenes.add(tiny_fo1.look(picture(seed)), "x") for seed in range(2))
    clock.now = 9
    scenes.get(first)
    clock.now = 11
    assert kept(scenes, first, second) == [True, False]
    with pytest.raises(Problem, match="post the image again"):
        scenes.get(second)


def test_memory_counts_what_was_read_since(tiny_fo1: FO1) -> None:
    scene = tiny_fo1.look(picture())
    before = size_of(scene)
    scene.detect("a")
    assert size_of(scene) > before
    scenes = Scenes(memory=size_of(scene) + before)
    first, second = scenes.add(scene, "x"), scenes.add(tiny_fo1.look(picture(1)), "x")
    assert kept(scenes, first, second) == [True, True]
    scenes.get(second).scene.detect("a")
    assert kept(scenes, second, first) == [True, False]

from __future__ import annotations

import pytest

from fo1.data.settings import SettingError
from fo1.model import RegionModel
from fo1.training.smol.questions import SeenScene
from fo1.training.smol.scenes import SceneCourse
from training.miniature import maker, same_scene, training_set

RECORDS = training_set(5)


def course(model: RegionModel, seed: int = 0, count: int = 5) -> SceneCourse:
    return SceneCourse(maker(model), RECORDS[:count], seed)


def shown(one: SceneCourse, count: int) -> list[int]:
    """Which records the next scenes are of, told by their names and their first auxiliary number."""
    looks = {int(record.features.auxiliary.sum() * 1e3): i for i, record in enumerate(RECORDS)}
    return [looks[int(scene.features.auxiliary.sum() * 1e3)] for scene in scenes(one, count)]


def scenes(one: SceneCourse, count: int) -> list[SeenScene]:
    return one.prepare(one.take(count))  # type: ignore[return-value]


def test_every_epoch_shows_every_scene_once_in_a_new_order(tiny_model: RegionModel) -> None:
    one = course(tiny_model)
    seen = [number for _ in range(10) for number in shown(one, 2)]
    epochs = [seen[i : i + 5] for i in range(0, 20, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_it_goes_on_where_its_state_is_of(tiny_model: RegionModel) -> None:
    whole, first, second = (course(tiny_model) for _ in range(3))
    expected = scenes(whole, 11)
    begun = scenes(first, 4)
    second.load_state_dict(first.state_dict())
    again = begun + scenes(second, 7)
    assert all(same_scene(a, b) for a, b in zip(again, expected, strict=True))


def test_a_scene_is_asked_about_anew_each_time_it_comes(tiny_model: RegionModel) -> None:
    one = course(tiny_model, count=1)
    first, second = scenes(one, 2)
    assert not same_scene(first, second)
    (other,) = scenes(course(tiny_model, seed=1, count=1), 1)
    assert not same_scene(first, other)


@pytest.mark.parametrize(("seed", "count"), [(1, 5), (0, 4)])
def test_the_state_of_another_course_is_refused(tiny_model: RegionModel, seed: int, count: int) -> None:
    state = course(tiny_model).state_dict()
    with pytest.raises(SettingError, match=f"5 scenes and seed 0, not {count} and {seed}"):
        course(tiny_model, seed, count).load_state_dict(state)


def test_without_scenes(tiny_model: RegionModel) -> None:
    with pytest.raises(SettingError, match="no scenes"):
        course(tiny_model, count=0)


def test_taking_leaves_the_tokenizer_to_the_step_before(
    tiny_model: RegionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Used by two threads at once, it now and then splits special tokens into letters."""
    one = course(tiny_model)
    monkeypatch.setattr(one.questions, "prompts", None)
    assert len(one.take(3)) == 3

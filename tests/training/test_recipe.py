"""Recipes: run to a saved model, and those that are shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fo1
from fo1.data.reading import write
from fo1.data.settings import SettingError
from fo1.training.recipe import Recipe, read_recipe
from fo1.training.tiny import INSTRUCT, tiny_model
from training.scenes import records

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", ["align", "instruct"])
def test_the_shipped_recipes_are_read(name: str) -> None:
    assert read_recipe(RECIPES / f"{name}.py").stage.name == name


def test_what_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("x = 1\n", encoding="utf-8")
    for name in ("empty.py", "missing.py"):
        with pytest.raises(SettingError, match=name):
            read_recipe(tmp_path / name)


def test_a_recipe_ends_in_a_model_that_loads(tmp_path: Path) -> None:
    known = records(tmp_path, 3)
    write(known, tmp_path / "train.jsonl")
    stage = replace(INSTRUCT, steps=2, batch=2, check_every=1)
    trained = []

    def model() -> fo1.FO1:
        trained.append(tiny_model())
        return trained[-1]

    file = tmp_path / "train.jsonl"
    assert Recipe(model, stage, {file: 1.0}, held_out=file).run(tmp_path / "out")
    again = fo1.load(tmp_path / "out" / "model", device="cpu", dtype="float32")
    image, boxes = tmp_path / "scene-0.png", known[0].boxes
    one, other = (m.look(image, boxes).detect("red disc").confidence for m in (trained[0], again))
    assert one["red disc"] == pytest.approx(other["red disc"], abs=1e-5)

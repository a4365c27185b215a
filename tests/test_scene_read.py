"""`Scene.read`: with a reader, and in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fo1.errors import PromptError, RegionError, SceneError
from fo1.messages import Message
from fo1.pipeline import FO1
from fo1.prompts.parsing import regions_to_read
from fo1.serving.scenes import size_of
from fo1.settings import Settings
from tiny import region_model
from written import reader, sheet

TASK = "Please provide the ocr results of {} in the image."


@pytest.fixture(scope="module")
def reading() -> FO1:
    model = region_model()
    model.reader = reader()
    return FO1(model, Settings("reads"))


def test_all_or_some_regions(reading: FO1) -> None:
    image, boxes = sheet([((20, 20), "Open"), ((20, 120), "Closed")])
    scene = reading.look(image, boxes[::-1])
    assert scene.read().text == "Open Closed" and scene.seconds["read"] > 0
    assert scene.read(0).labels == ("Closed",)
    some = scene.read([1, 0])
    assert some.labels == ("Open", "Closed") and some.regions.tolist() == [1, 0]
    assert (some.xyxy == scene.regions.xyxy[[1, 0]]).all()
    assert len(scene.read([])) == 0 and len(scene.read(threshold=1)) == 0
    with pytest.raises(RegionError, match="no region 2"):
        scene.read([0, 2])
    with pytest.raises(PromptError, match="threshold"):
        scene.read(threshold=2)


def test_the_task_of_reading_is_the_readers(reading: FO1) -> None:
    image, boxes = sheet([((20, 20), "Open"), ((20, 120), "Closed")])
    one, two = reading.look(image, boxes), reading.look(image, boxes)
    asked = [TASK.format("<region1>"), "What is <region1>?"]
    assert one.ask(asked[0]) == "Closed"
    first, second = reading.ask_many([one, two], asked)
    assert first == "Closed" and second == one.ask(asked[1])
    assert reading.ask_many([one, two], [TASK.format("<region0>")] * 2) == ["Open"] * 2
    assert reading.chat([Message("user", [one, asked[0]])]) == "Closed"
    piece, answer = one.stream(asked[0])
    assert piece.text == answer.text == "Closed"


def test_which_questions_are_the_task() -> None:
    assert regions_to_read(TASK.format("<region3>")) == [3]
    assert regions_to_read(f" {TASK.format('<region3>, <region0>')}\n") == [3, 0]
    for other in (TASK.format("the sign"), "Please read <region3>.", TASK.format("<region3>") + " Now!", ""):
        assert regions_to_read(other) == []


def test_a_photo_on_its_side(reading: FO1, tmp_path: Path) -> None:
    image, _ = sheet([((20, 20), "Upright")], (200, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert reading.look(tmp_path / "turned.png").read().text == "Upright"


def test_a_saved_scene_has_lost_its_image(reading: FO1, tmp_path: Path) -> None:
    scene = reading.look(sheet([((20, 20), "Open")])[0])
    scene.save(tmp_path / "scene")
    with pytest.raises(SceneError, match="look at that again"):
        reading.restore(tmp_path / "scene").read()


def test_a_server_counts_the_picture_it_keeps(reading: FO1) -> None:
    image = sheet([])[0]
    without = FO1(region_model(), Settings("blind")).look(image, [[0, 0, 9, 9]])
    assert size_of(reading.look(image, [[0, 0, 9, 9]])) == size_of(without) + 3 * 320 * 200


def test_a_model_without_a_reader_is_asked(tiny_fo1: FO1) -> None:
    scene = tiny_fo1.look(sheet([])[0])
    said = scene.read([2, 0])
    questions = [TASK.format(f"<region{number}>") for number in (2, 0)]
    assert said.labels == tuple(scene.ask(question).strip() for question in questions)
    assert said.scores.tolist() == [1, 1] and said.regions.tolist() == [2, 0]
    with pytest.raises(PromptError, match="give boxes"):
        scene.read()

"""`Scene.find` of a model that compares: which of several things a phrase means."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fo1.model import RegionModel
from fo1.ordering import meant
from fo1.pipeline import FO1
from fo1.prompts.referring import refer
from fo1.scene import Scene
from fo1.settings import Settings
from tiny import picture


def test_find_compares_things_of_one_name(tiny_model: RegionModel, scene: Scene) -> None:
    comparing = FO1(tiny_model, Settings("tiny", compares=True)).look(picture(0))
    scores = scene.detect("cup, dog").confidence
    for phrase, names in (("the left cup", ["cup"]), ("the cup next to the dog", ["cup", "dog"])):
        reference = refer(phrase)
        assert reference is not None
        alone = (
            np.stack([scores[n] for n in names])
            if len(names) > 1
            else scene.detect("cup").confidence["cup"][None]
        )
        found = comparing.find(phrase, threshold=0.0)
        assert found.labels == (phrase,) and len(found) == 1
        np.testing.assert_allclose(
            found.confidence[phrase], meant(scene.regions, alone, reference), atol=1e-5
        )
    assert "the left cup" in comparing.find("the left cup", threshold=1.0).absent
    plain = scene.find("the left cup", threshold=0.0)
    assert (plain.confidence["the left cup"] == scene.detect("the left cup").confidence["the left cup"]).all()


def test_find_goes_by_colour_as_long_as_there_is_an_image(tiny_model: RegionModel) -> None:
    image = Image.new("RGB", (80, 60), (250, 250, 250))
    image.paste((200, 20, 30), (40, 0, 80, 60))
    boxes = [[0, 0, 40, 60], [40, 0, 80, 30], [40, 30, 80, 60]]
    scene = FO1(tiny_model, Settings("tiny", compares=True)).look(image, boxes)
    phrase = "the red cup"
    assert FO1(tiny_model, Settings("tiny")).look(image, boxes).image is None  # nobody would use it
    scene.image = None
    blind = scene.find(phrase, threshold=0.0).confidence[phrase]
    whole = scene.detect("red cup").confidence["red cup"]  # the colour is part of the name
    assert blind.argmax() == whole.argmax() and blind.max() <= whole.max()
    scene.image = image
    seen = scene.find(phrase, threshold=0.0).confidence[phrase]
    assert seen[0] < 0.01 and seen[1:].max() > 0.3
    assert scene.find("the bottom red cup", threshold=0.0).regions.tolist() == [2]

"""Scenes of the tiny model of the recordings.

Its weights are random: where an answer must mean something, the test scripts it (see `scripted.py`).
"""

from __future__ import annotations

import pytest

from compatibility.prompts import BOXES, SIZE, many
from fo1 import FO1, Scene
from tiny import picture


@pytest.fixture(scope="module")
def scene(released: FO1) -> Scene:
    return released.look(picture(0, SIZE), BOXES)


@pytest.fixture(scope="module")
def bare(released: FO1) -> Scene:
    return released.look(picture(1, SIZE), [])


@pytest.fixture(scope="module")
def crowd(released: FO1) -> Scene:
    return released.look(picture(0, SIZE), many(250))

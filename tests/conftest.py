"""What tests of several packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fo1 import FO1
    from fo1.model import RegionModel
    from fo1.scene import Scene


@pytest.fixture(scope="session")
def model() -> FO1:
    """The bundled model with its trained weights, loaded once."""
    import fo1

    return fo1.load("fo1-smol")


@pytest.fixture(scope="session")
def tiny_model() -> RegionModel:
    """A random region model with a dynamic vocabulary (see `tiny.py`), shared: do not change it."""
    from tiny import region_model

    return region_model()


@pytest.fixture(scope="session")
def tiny_fo1(tiny_model: RegionModel) -> FO1:
    """The verbs on `tiny_model`."""
    from fo1.checkpoints.config import ModelConfig
    from fo1.pipeline import FO1

    return FO1(tiny_model, ModelConfig("tiny"))


@pytest.fixture
def scene(tiny_fo1: FO1) -> Scene:
    """A picture that the tiny model has looked at."""
    from tiny import picture

    return tiny_fo1.look(picture(0))


@pytest.fixture
def apart(tiny_fo1: FO1) -> Scene:
    """The same picture with regions that do not overlap."""
    from tiny import BOXES, picture

    return tiny_fo1.look(picture(0), [[80 * x1, 60 * y1, 80 * x2, 60 * y2] for x1, y1, x2, y2 in BOXES[:4]])


@pytest.fixture(scope="session")
def released_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint in the released format; read it only. Nothing in its path says what it is."""
    from golden.recordings import write_checkpoint

    folder = tmp_path_factory.mktemp("golden") / "checkpoint"
    write_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def released(released_folder: Path) -> FO1:
    """That checkpoint, loaded once in float32: do not change it."""
    import fo1

    return fo1.load(released_folder, device="cpu", dtype="float32")

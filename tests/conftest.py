"""What tests of several packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fo1 import FO1
    from fo1.model import RegionModel


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

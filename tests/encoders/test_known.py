from __future__ import annotations

import pytest
import torch
from PIL import Image

from fo1.encoders.davit import LARGE, DaViT
from fo1.encoders.efficientnet_lite import EfficientNetPyramid
from fo1.encoders.known import ENCODERS
from fo1.encoders.nanodet import NanoDet
from fo1.errors import RegistryError


def test_encoders_by_name() -> None:
    assert set(ENCODERS.names()) >= {"davit", "davit-base", "davit-large", "nanodet", "timm"}
    assert isinstance(ENCODERS.get("nanodet")(), NanoDet)
    assert isinstance(ENCODERS.get("efficientnet-lite2")(longest_sides=(256,)), EfficientNetPyramid)
    with torch.device("meta"):
        large, base = ENCODERS.get("davit-large")(), ENCODERS.get("davit-base")(aspect="squash")
    assert isinstance(large, DaViT) and isinstance(base, DaViT)
    assert (large.config, large.channels) == (LARGE, (256, 512, 1024, 2048))
    assert sum(p.numel() for p in base.parameters()) == pytest.approx(90e6, rel=0.02)


def test_a_davit_as_a_config_file_describes_it() -> None:
    davit = ENCODERS.get("davit")(
        dims=[16, 32, 64, 128], depths=[1, 1, 1, 1], heads=[2, 2, 2, 2], max_side=64
    )
    (found,) = davit.eval()([Image.new("RGB", (128, 96))])
    assert found.channels == davit.channels == (16, 32, 64, 128)
    assert found.frame.input_size == (64, 48)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(RegistryError, match="did you mean 'davit-large'.*davit-base, davit-large"):
        ENCODERS.get("davit-larg")

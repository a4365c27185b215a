"""Networks of timm. As it needs torchvision, `make test-timm` runs these in an environment of their own."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image

from fo1.encoders.feature_maps import Frame
from fo1.encoders.timm_encoder import TimmEncoder
from fo1.errors import RegistryError

if importlib.util.find_spec("timm") is None:

    def test_without_timm_the_remedy_is_named() -> None:
        with pytest.raises(RegistryError, match=r"pip install 'fo1\[timm\]'"):
            TimmEncoder("resnet18")


# A module-level importorskip would skip the test above as well.
timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")

MODELS = {
    "resnet18": {"out_indices": (1, 2, 3, 4)},
    "convnext_atto": {},
    "swin_tiny_patch4_window7_224": {"strict_img_size": False, "depths": (1, 1, 1, 1)},
    "vit_tiny_patch16_224": {"dynamic_img_size": True, "depth": 3},
}


def encoder(name: str, side: int = 128) -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder(name, side, **MODELS[name]).eval().requires_grad_(False)


def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


@timm
@pytest.mark.parametrize("name", MODELS)
def test_maps_are_as_announced(name: str) -> None:
    network = encoder(name)
    (found,) = network([noise((300, 200))])
    assert found.frame == Frame((300, 200), (128, 85))
    assert found.channels == network.channels and found.strides == network.strides
    padded = -(-85 // int(max(network.strides))) * max(network.strides)
    for m, stride in zip(found.maps, found.strides, strict=True):
        assert m.shape[1:] == (padded / stride, 128 / stride)


@timm
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_painted_corner_is_seen_there(name: str, corner: tuple[int, int]) -> None:
    network = encoder(name, 256)
    image = noise((256, 192))
    painted = image.copy()
    left, top = corner[0] * 224, corner[1] * 160
    painted.paste((255, 0, 0), (left, top, left + 32, top + 32))
    before, after = network([image, painted])
    for a, b, stride in zip(before.maps, after.maps, before.strides, strict=True):
        change = (a - b).square().sum(dim=0)
        y, x = divmod(int(change.argmax()), change.shape[1])
        # Convolutions that begin with padding look up to a cell further left or right than their place.
        assert left - stride <= (x + 0.5) * stride <= left + 32 + stride
        assert top - stride <= (y + 0.5) * stride <= top + 32 + stride
        far = change.flip([axis for axis, at in ((1, corner[0]), (0, corner[1])) if at])[-1, -1]
        assert far < 0.05 * change.max()


@timm
def test_finest_maps_do_not_feel_the_far_corner_at_all() -> None:
    network = encoder("resnet18", 256)
    image = noise((256, 256))
    painted = image.copy()
    painted.paste((255, 0, 0), (0, 0, 32, 32))
    before, after = network([image, painted])
    assert torch.equal(before.maps[0][:, 32:, 32:], after.maps[0][:, 32:, 32:])


@timm
def test_preprocessing_is_the_networks_own() -> None:
    white = Image.new("RGB", (64, 64), (255, 255, 255))
    seen = encoder("vit_tiny_patch16_224").reader([white], (64, 64), like=torch.zeros(1))
    torch.testing.assert_close(seen, torch.ones(1, 3, 64, 64))  # its mean and deviation are ½


@timm
def test_an_unknown_name_lists_similar_ones() -> None:
    with pytest.raises(RegistryError, match="resnet18"):
        TimmEncoder("resnet_18")

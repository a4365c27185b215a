"""DaViT as an encoder. That its maps are the released tower's is tested in `golden/`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fo1.encoders.davit import DaViT, DaViTConfig
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import Sizing
from fo1.errors import CheckpointError

TINY = DaViTConfig((16, 32, 64, 128), (1, 1, 2, 1), heads=(2, 4, 8, 16), groups=(2, 4, 8, 16))


def tiny(**options) -> DaViT:
    torch.manual_seed(0)
    return DaViT(TINY, **options).eval().requires_grad_(False)


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("aspect", "size", "input_size"),
    [
        ("dynamic", (100, 60), (100, 60)),
        ("dynamic", (4096, 30), (2048, 15)),
        ("dynamic", (20, 50), (28, 50)),
        ("squash", (100, 60), (768, 768)),
        ("dynamic_square", (100, 60), (384, 384)),
        ("dynamic_square", (100, 600), (600, 600)),
        ("dynamic_square", (100, 6000), (2048, 2048)),
    ],
)
def test_sizes(aspect: str, size: tuple[int, int], input_size: tuple[int, int]) -> None:
    assert Sizing(aspect)(Image.new("RGB", size)).size == input_size


def test_an_unknown_aspect_is_refused() -> None:
    with pytest.raises(CheckpointError, match="'wide'.*known: dynamic, squash"):
        tiny(aspect="wide")


def test_maps_are_rounded_up_and_the_frame_is_of_the_original_image() -> None:
    davit = tiny(max_side=101)
    plain, shrunk = davit([noise((101, 67)), noise((202, 70))])
    assert [m.shape for m in plain.maps] == [(16, 17, 26), (32, 9, 13), (64, 5, 7), (128, 3, 4)]
    assert [m.shape for m in shrunk.maps] == [(16, 9, 26), (32, 5, 13), (64, 3, 7), (128, 2, 4)]
    assert (davit.channels, davit.strides) == (plain.channels, plain.strides)
    assert shrunk.frame == Frame((202, 70), (101, 35))
    assert shrunk.frame.boxes_in(torch.tensor([[0.0, 0, 202, 70]])).tolist() == [[0, 0, 101, 35]]


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    davit = tiny()
    alone, together = davit([noise((90, 50))])[0], davit([noise((40, 88), 1), noise((90, 50))])[1]
    assert all(torch.equal(a, b) for a, b in zip(alone.maps, together.maps, strict=True))


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_painted_corner_is_seen_there(corner: tuple[int, int]) -> None:
    """Channel attention lets every cell feel a change a little; where it happened it is felt most."""
    davit = tiny()
    image = noise((192, 128))
    painted = image.copy()
    painted.paste((255, 0, 0), (corner[0] * 160, corner[1] * 96, corner[0] * 160 + 32, corner[1] * 96 + 32))
    before, after = davit([image, painted])
    for a, b, stride in zip(before.maps, after.maps, before.strides, strict=True):
        change = (a - b).square().sum(dim=0)
        side = int(32 / stride)
        oriented = change.flip([axis for axis, at in ((1, corner[0]), (0, corner[1])) if at])
        inside = oriented[:side, :side].mean()
        assert inside > 10 * oriented[change.shape[0] // 2 :, change.shape[1] // 2 :].mean()
        y, x = divmod(int(oriented.argmax()), change.shape[1])
        assert x <= side and y <= side


def test_half_precision_drifts_little() -> None:
    davit, image = tiny(), noise((203, 97))
    (exact,) = davit([image])
    (rounded,) = davit.to(torch.bfloat16)([image])
    for a, b in zip(exact.maps, rounded.maps, strict=True):
        assert b.dtype == torch.bfloat16
        assert relative(b.float() - a, a) < 0.02


def relative(error: Tensor, of: Tensor) -> float:
    return float(error.square().mean().sqrt() / of.square().mean().sqrt())


def test_gradients_reach_every_weight() -> None:
    davit = tiny().requires_grad_(True)
    (found,) = davit([noise((64, 40))])
    sum(m.square().sum() for m in found.maps).backward()
    assert all(p.grad is not None for p in davit.parameters())


def test_weights_can_be_given_later() -> None:
    with torch.device("meta"):
        empty = DaViT(TINY)
    full = tiny()
    empty.load_state_dict(full.state_dict(), assign=True)
    image = noise((64, 64))
    before: FeatureMaps = full([image])[0]
    assert torch.equal(before.maps[3], empty.eval()([image])[0].maps[3])

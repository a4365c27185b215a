from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from fo1.checkpoints.renaming import ours_to_released, released_to_ours
from fo1.encoders.davit import LARGE, DaViT, DaViTConfig
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.encoders.pixels import IMAGENET, Sizing
from fo1.errors import CheckpointError

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
CASES = GOLDEN / "set_b" / "cases"
recorded = pytest.mark.skipif(not CASES.is_dir(), reason="the golden recordings are not here")

TINY = DaViTConfig((16, 32, 64, 128), (1, 1, 2, 1), heads=(2, 4, 8, 16), groups=(2, 4, 8, 16))
# PLACEHOLDER
TOLERANCE = 1e-4


def tiny(**options) -> DaViT:
    torch.manual_seed(0)
    return DaViT(TINY, **options).eval().requires_grad_(False)


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def pixels(sizing: Sizing, image: Image.Image) -> Tensor:
    sized = sizing(image)
    return IMAGENET([sized], sized.size, like=torch.zeros(1))[0]


# ---- Recordings of the released model's tower


@pytest.fixture(scope="module")
def released() -> DaViT:
    """The tower of the tiny checkpoint in the released format."""
    davit, weights = tiny(), {}
    for file in (GOLDEN / "set_b").glob("*tiny-golden/model.safetensors"):
        for key, value in load_file(file).items():
            part, name = released_to_ours(key)
            if part == "auxiliary":
                weights[name] = value.float()
    davit.load_state_dict(weights)
    return davit


IMAGES = {
    "c1_s1_od_13boxes": ("s1_demo_168x126", "dynamic"),
    "c2_s2_count_5boxes": ("s2_synth_203x97", "dynamic"),
    "c7_s2_squash768": ("s2_synth_203x97", "squash"),
    "c8_s2_dynamic_square": ("s2_synth_203x97", "dynamic_square"),
    "p3_s3_long_2301x67": ("s3_long_2301x67", "dynamic"),
    "p4_s4_tiny_20x15": ("s4_tiny_20x15", "dynamic"),
}


def load_case(case: str) -> tuple[Image.Image, Sizing, dict[str, Tensor]]:
    name, aspect = IMAGES[case]
    image = Image.open(GOLDEN / "set_b" / "images" / f"{name}.png").convert("RGB")
    return image, Sizing(aspect), load_file(CASES / f"{case}.safetensors")


def compare(actual: Tensor, want: dict[str, Tensor], name: str, tolerance: float) -> None:
    """A whole recorded tensor, or every n-th cell of it with its shape, sum and sum of magnitudes."""
    (key,) = (key for key in want if key == name or key.startswith(f"{name}[..., ::"))
    step = 1 if key == name else int(key.rpartition("::")[2].rstrip("]"))
    shown = actual[..., ::step, ::step].reshape(want[key].shape)
    torch.testing.assert_close(shown, want[key], atol=tolerance, rtol=0)
    if step > 1:
        *shape, total, magnitude = want[f"{name}.shape_sum_abssum"].tolist()
        assert list(actual.shape) == shape[-actual.ndim :]
        assert float(actual.double().sum()) == pytest.approx(total, abs=1e-6 * magnitude)
        assert float(actual.double().abs().sum()) == pytest.approx(magnitude, rel=1e-6)


@recorded
@pytest.mark.parametrize("case", IMAGES)
def test_recorded_pixels(case: str) -> None:
    image, sizing, want = load_case(case)
    compare(pixels(sizing, image), want, "aux_pixel_values", 1e-6)


@recorded
@pytest.mark.parametrize("case", [case for case in IMAGES if case.startswith("c")])
def test_recorded_maps(released: DaViT, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, sizing, want = load_case(case)
    monkeypatch.setattr(released, "sizing", sizing)
    (found,) = released([image])
    for level, actual in enumerate(found.maps):
        compare(actual, want, f"davit_l{level}.0", TOLERANCE)


@recorded
@pytest.mark.parametrize("case", ["c2_s2_count_5boxes", "c7_s2_squash768", "c8_s2_dynamic_square"])
def test_boxes_find_their_place_in_the_recorded_frame(case: str) -> None:
    """Boxes stay in the original image's pixels; whatever resizing there was, the frame knows it."""
    image, sizing, want = load_case(case)
    original = torch.tensor([[25.0, 24, 67, 48], [0.25, 0.75, 202.9, 96.5], [3, 3, 5, 4]])
    boxes = Frame(image.size, sizing(image).size).boxes_in(original)
    torch.testing.assert_close(boxes, want["aux_boxes_in.0"][[0, 2, 4]], atol=1e-4, rtol=0)


@pytest.mark.slow
@recorded
def test_recorded_maps_of_davit_large() -> None:
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "golden_weights.py")
    assert spec is not None and spec.loader is not None
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    with torch.device("meta"):
        davit = DaViT(LARGE)
    davit.to_empty(device="cpu").eval().requires_grad_(False)
    for key, value in davit.state_dict().items():
        name = ours_to_released("auxiliary", key)
        value.copy_(torch.from_numpy(golden.weight(name, tuple(value.shape))))
    assert sum(p.numel() for p in davit.parameters()) == 360_632_320
    maps = davit.maps(torch.from_numpy(golden.uniform("set_a.davit_input", (1, 3, 101, 157), 2.0)))
    want = load_file(GOLDEN / "set_a" / "davit_large_101x157.safetensors")
    for level, actual in enumerate(maps):
        compare(actual, want, f"davit_l{level}", TOLERANCE)


# ---- Without recordings


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

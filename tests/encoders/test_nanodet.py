from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import fo1
from fo1.encoders.nanodet import NanoDet
from fo1.errors import CheckpointError

WEIGHTS = Path(fo1.__file__).parent / "bundled" / "fo1-smol" / "nanodet.safetensors"
PHOTOS = Path(__file__).parents[2] / "photos"


def photo(name: str) -> Image.Image:
    return Image.open(PHOTOS / f"{name}.jpg").convert("RGB")


@pytest.fixture(scope="module")
def network() -> NanoDet:
    return NanoDet.from_file(WEIGHTS).requires_grad_(False)


def wave(height: int, width: int) -> torch.Tensor:
    steps = torch.arange(3 * height * width, dtype=torch.float64)
    return torch.sin(steps * 0.01).reshape(1, 3, height, width)


def test_agrees_with_the_source_graph(network: NanoDet) -> None:
    """Numbers that a float64 interpreter of the original TensorFlow.js graph gave for the same input."""
    maps = NanoDet.from_file(WEIGHTS).double().maps(wave(416, 416))
    rows = [m.flatten(2)[0].T for m in maps]
    probabilities = [
        [0.008729, 0.003284, 0.002194],
        [0.007924, 0.006729, 0.005749],
        [0.008966, 0.010579, 0.010276],
    ]
    distances = [
        [2.022755, -0.382807, -0.997046],
        [-0.117508, -0.410854, 0.019565],
        [0.151866, -0.151879, 0.370368],
    ]
    golden = zip(rows[NanoDet.CLASSES] + rows[NanoDet.BOXES], probabilities + distances, strict=True)
    for map_rows, expected in golden:
        found = [map_rows[0, 0].item(), map_rows[50, 7].item(), map_rows[100, 40].item()]
        assert found == pytest.approx(expected, abs=2e-6)
    means = [maps[0].mean().item(), maps[2].mean().item(), maps[3].mean().item()]
    assert means == pytest.approx([0.031764, 0.012277, -0.003038], abs=2e-6)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (640, 100), (3, 900), (417, 416)])
def test_maps_fit_their_strides_at_any_image_size(network: NanoDet, size: tuple[int, int]) -> None:
    (features,) = network([Image.new("RGB", size, (200, 30, 90))])
    width, height = features.frame.input_size
    assert features.frame.image_size == size
    assert max(width, height) == 416 and width % 32 == height % 32 == 0
    assert features.channels == network.channels
    for feature_map, stride in zip(features.maps, network.strides, strict=True):
        assert feature_map.shape[1:] == (height / stride, width / stride)
        assert feature_map.isfinite().all()


def test_slices_name_the_maps(network: NanoDet) -> None:
    assert network.channels[NanoDet.BACKBONE] == (128, 256, 512)
    assert network.channels[NanoDet.PAN] == (128, 128, 128)
    assert network.channels[NanoDet.CLASSES] == (80, 80, 80)
    assert network.channels[NanoDet.BOXES] == (44, 44, 44)


def test_no_images(network: NanoDet) -> None:
    assert network([]) == []


def test_mixed_sizes_keep_their_order_and_equal_a_run_each(network: NanoDet) -> None:
    cat, coffee = photo("cat_face"), photo("coffee")
    images = [cat, coffee, cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    together = network(images)
    for features, image in zip(together, images, strict=True):
        (alone,) = network([image])
        assert features.frame == alone.frame
        for a, b in zip(features.maps, alone.maps, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_input_size_and_precision_are_the_callers(network: NanoDet) -> None:
    small = NanoDet.from_file(WEIGHTS, input_size=256).to(torch.bfloat16)
    image = photo("coffee")
    (features,) = small([image])
    assert features.frame.input_size == (256, 160)
    assert {m.dtype for m in features.maps} == {torch.bfloat16}
    (reference,) = NanoDet.from_file(WEIGHTS, input_size=256)([image])
    for a, b in zip(features.maps, reference.maps, strict=True):
        assert torch.cosine_similarity(a.float().flatten(), b.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("size", [0, -32, 400])
def test_input_size_must_fit_the_cells(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        NanoDet(size)


def test_bad_weight_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        NanoDet.from_file(tmp_path / "nowhere.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        NanoDet.from_file(damaged)
    partial = load_file(WEIGHTS)
    partial.pop("stem.0.0.bias")
    save_file(partial, tmp_path / "partial.safetensors")
    with pytest.raises(CheckpointError, match="stem.0.0.bias"):
        NanoDet.from_file(tmp_path / "partial.safetensors")

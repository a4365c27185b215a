from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

import fo1
from fo1.encoders import names
from fo1.encoders.efficientnet_lite import EfficientNetLite, EfficientNetPyramid, same_padding
from fo1.errors import CheckpointError

BUNDLE = Path(fo1.__file__).parent / "bundled" / "fo1-smol"
WEIGHTS = BUNDLE / "efficientnet_lite2.safetensors"
PHOTOS = Path(__file__).parents[2] / "photos"


def photo(name: str) -> Image.Image:
    return Image.open(PHOTOS / f"{name}.jpg").convert("RGB")


@pytest.fixture(scope="module")
def pyramid() -> EfficientNetPyramid:
    return EfficientNetPyramid.from_file(WEIGHTS, longest_sides=(64, 128, 256)).requires_grad_(False)


def wave(height: int, width: int) -> torch.Tensor:
    steps = torch.arange(3 * height * width, dtype=torch.float64)
    return torch.sin(steps * 0.01).reshape(1, 3, height, width)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((260, 260), [-0.731829, 0.584849, -0.884152, -1.751211]),
        ((256, 192), [-0.790901, 0.115630, -0.927099, -1.136313]),
    ],
)
def test_agrees_with_the_original_model(
    pyramid: EfficientNetPyramid, size: tuple[int, int], expected: list[float]
) -> None:
    """Logits of the unfolded original in float64; ours carry float16 weights."""
    _, coarse = pyramid.network(wave(*size).float())
    logits = pyramid.network.classify(coarse.mean((2, 3)))
    assert logits[0, :4].tolist() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("name", "kind"), [("coffee", "espresso"), ("cat_face", "Egyptian cat")])
def test_recognises_photographs(pyramid: EfficientNetPyramid, name: str, kind: str) -> None:
    (features,) = pyramid([photo(name)])
    logits = pyramid.network.classify(features.maps[-1].mean((1, 2))[None])
    assert names.imagenet()[int(logits.argmax())] == kind


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (640, 100), (2, 900)])
def test_every_map_covers_the_frame(pyramid: EfficientNetPyramid, size: tuple[int, int]) -> None:
    (features,) = pyramid([Image.new("RGB", size, (10, 200, 90))])
    assert features.channels == pyramid.channels == (120, 1280) * 3
    assert features.strides == pyramid.strides == (64, 128, 32, 64, 16, 32)
    assert features.frame.image_size == size
    assert max(features.frame.input_size) == 256
    for feature_map, stride in zip(features.maps, features.strides, strict=True):
        for cells, side in zip(feature_map.shape[:0:-1], features.frame.input_size, strict=True):
            assert cells >= side / stride - 4 / stride
            assert cells <= side / stride + 1 + 4 / stride
        assert feature_map.isfinite().all()


def test_cells_of_all_scales_see_the_same_place(pyramid: EfficientNetPyramid) -> None:
    """A bright patch is strongest, against the plain image, at its own place in every map."""
    plain = Image.new("RGB", (300, 210), (90, 90, 90))
    marked = plain.copy()
    marked.paste(photo("cat_face").resize((60, 60)), (200, 120))
    before, after = pyramid([plain, marked])
    scale = after.frame.scale
    for level, (a, b) in enumerate(zip(before.maps, after.maps, strict=True)):
        change = (a - b).abs().sum(0)
        row, column = divmod(int(change.argmax()), change.shape[1])
        x, y = ((i + 0.5) * after.strides[level] for i in (column, row))
        slack = after.strides[level]
        assert 200 * scale[0] - slack <= x <= 260 * scale[0] + slack
        assert 120 * scale[1] - slack <= y <= 180 * scale[1] + slack


def test_no_images(pyramid: EfficientNetPyramid) -> None:
    assert pyramid([]) == []


def test_mixed_sizes_keep_their_order_and_equal_a_run_each(pyramid: EfficientNetPyramid) -> None:
    cat, coffee = photo("cat_face"), photo("coffee")
    images = [cat, coffee, cat.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    for features, image in zip(pyramid(images), images, strict=True):
        (alone,) = pyramid([image])
        assert features.frame == alone.frame
        for a, b in zip(features.maps, alone.maps, strict=True):
            torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_maps_come_in_the_modules_precision() -> None:
    network = EfficientNetPyramid.from_file(WEIGHTS, longest_sides=(64,)).to(torch.bfloat16)
    (features,) = network([photo("coffee")])
    assert {m.dtype for m in features.maps} == {torch.bfloat16}


def test_padding_is_tensorflows() -> None:
    assert same_padding(260, 3, 2) == (0, 1)
    assert same_padding(65, 5, 2) == (2, 2)
    assert same_padding(17, 3, 1) == (1, 1)


def test_other_variants_have_their_own_widths() -> None:
    assert EfficientNetLite("lite0").channels == (112, 1280)
    with pytest.raises(ValueError, match="lite0, lite1, lite2"):
        EfficientNetLite("lite9")


@pytest.mark.parametrize("sides", [(), (448, 256), (256, 256), (2, 256), (255, 448)])
def test_scales_must_ascend_in_multiples_of_four(sides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="longest_sides"):
        EfficientNetPyramid(EfficientNetLite("lite0"), sides)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"nanodet\.safetensors does not hold"):
        EfficientNetLite.from_file(BUNDLE / "nanodet.safetensors")


def test_class_names_are_complete_and_plain() -> None:
    assert len(set(names.coco())) == 80
    assert len(set(names.imagenet())) == 1000
    assert [names.coco()[i] for i in (0, 49, 79)] == ["person", "orange", "toothbrush"]
    assert [names.imagenet()[i] for i in (0, 281, 950)] == ["tench", "tabby cat", "orange"]
    assert not [n for n in names.coco() + names.imagenet() if set(n) & set("(),/_")]

"""What the official code gets wrong, done right: images of every kind."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from compatibility.prompts import (
    BOXES,
    SIZE,
    grounded,
)
from fo1 import FO1, ImageError
from scripted import saying
from tiny import picture


def encoded(image: Image.Image, kind: str = "PNG", **extra: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **extra)
    return file.getvalue()


def data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def tokens(model: FO1, image: Any) -> torch.Tensor:
    return model.look(image, BOXES).encoded.embeddings


def test_every_kind_of_image_gives_the_same_region_tokens(released: FO1, tmp_path: Path) -> None:
    image = picture(0, SIZE)
    png, array = encoded(image), np.asarray(image)
    (tmp_path / "a.png").write_bytes(png)
    transparent = image.copy()
    transparent.putalpha(255)
    cmyk = Image.fromarray(np.dstack([255 - array, np.zeros(array.shape[:2], np.uint8)]), "CMYK")
    kinds: dict[str, Any] = {
        "path": tmp_path / "a.png",
        "text": str(tmp_path / "a.png"),
        "bytes": png,
        "bytearray": bytearray(png),
        "data URL": data_url(png, "png"),
        "RGBA": transparent,
        "palette": image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256),
        "CMYK": cmyk,
        "numpy": array,
        "numpy float": array.astype(np.float32) / 255,
        "torch": torch.from_numpy(array.copy()).permute(2, 0, 1),
        "torch float": torch.from_numpy(array.copy()).permute(2, 0, 1) / 255,
    }
    want = tokens(released, image)
    for kind, source in kinds.items():
        assert torch.equal(tokens(released, source), want), kind


def test_grey_images_of_every_depth_give_the_same_region_tokens(released: FO1) -> None:
    grey = picture(0, SIZE).convert("L")
    array = np.asarray(grey)
    deep = Image.fromarray(array.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    want = tokens(released, grey.convert("RGB"))
    for source in (grey, deep, encoded(deep), array, array[..., None], array.astype(np.uint16) * 257):
        assert torch.equal(tokens(released, source), want)


def test_a_jpeg_is_the_same_from_everywhere(released: FO1, tmp_path: Path) -> None:
    jpeg = encoded(picture(0, SIZE), "JPEG", quality=90)
    (tmp_path / "a.jpg").write_bytes(jpeg)
    want = tokens(released, Image.open(io.BytesIO(jpeg)))
    for source in (jpeg, tmp_path / "a.jpg", data_url(jpeg, "jpeg")):
        assert torch.equal(tokens(released, source), want)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_pixels_of_the_upright_image(released: FO1, orientation: int) -> None:
    upright = picture(0, SIZE)
    turned = {  # how it lies in the file
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = upright.transpose(turned[orientation]) if orientation in turned else upright
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    scene = released.look(encoded(lying, exif=exif), BOXES)
    assert scene.regions.image_size == SIZE
    assert torch.equal(scene.encoded.embeddings, tokens(released, upright))


def test_an_address_that_does_not_answer_is_told(released: FO1) -> None:
    with pytest.raises(ImageError, match="http://127.0.0.1:9/a.png: cannot be downloaded"):
        released.look("http://127.0.0.1:9/a.png")


@pytest.mark.parametrize(
    ("size", "larger"), [((20, 15), (28, 28)), ((27, 60), (28, 60)), ((60, 9), (60, 28)), ((1, 50), (28, 50))]
)
def test_small_images_are_enlarged_together_with_their_boxes(
    released: FO1, size: tuple[int, int], larger: tuple[int, int]
) -> None:
    image = picture(0, size)
    width, height = size
    boxes = np.array([[0, 0, width, height], [0, height / 4, width / 2, height], [width / 2, 0, width, 5]])
    scene = released.look(image, boxes)
    big = image.resize(larger, Image.Resampling.BICUBIC)
    factor = np.array(larger * 2) / np.array(size * 2)
    same = released.look(big, boxes * factor)
    torch.testing.assert_close(scene.encoded.embeddings, same.encoded.embeddings, atol=2e-5, rtol=0)
    with saying(released.model, grounded("cup", 1)):
        assert scene.detect("cup").xyxy.tolist() == [boxes[1].tolist()]
    assert scene.ask("What?", 3) == same.ask("What?", 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (400, 1), (1, 2000)])
def test_images_of_a_pixels_width(released: FO1, size: tuple[int, int]) -> None:
    scene = released.look(picture(0, size), [[0, 0, *size]])
    assert scene.encoded.embeddings.isfinite().all() and scene.ask("What?", 2)

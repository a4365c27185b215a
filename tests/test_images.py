"""Every kind of image a user may hand over, good and bad."""

from __future__ import annotations

import base64
import http.server
import io
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from fo1 import images
from fo1.errors import ImageError
from fo1.images import load_image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def corner() -> Image.Image:
    """Black, 3 wide and 2 high, with a red pixel at the top left."""
    image = Image.new("RGB", (3, 2))
    image.putpixel((0, 0), RED)
    return image


def assert_same(image: Image.Image, expected: Image.Image) -> None:
    assert image.mode == "RGB"
    assert image.size == expected.size
    assert np.array_equal(np.asarray(image), np.asarray(expected))


# Sources


def test_paths_bytes_and_data_urls_give_the_same_pixels(tmp_path: Path, corner: Image.Image) -> None:
    data = encoded(corner)
    path = tmp_path / "a corner.png"
    path.write_bytes(data)
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    for source in (path, str(path), data, bytearray(data), memoryview(data), url, url.replace("+", "%2B")):
        assert_same(load_image(source), corner)


def test_home_is_expanded(tmp_path: Path, corner: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    corner.save(tmp_path / "x.png")
    assert_same(load_image("~/x.png"), corner)


def test_pil_image_is_copied_and_not_changed(corner: Image.Image) -> None:
    corner.info["comment"] = "mine"
    before = corner.tobytes()
    loaded = load_image(corner)
    assert_same(loaded, corner)
    loaded.putpixel((0, 0), (9, 9, 9))
    assert corner.tobytes() == before
    assert corner.info == {"comment": "mine"}
    assert loaded.info == {}


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3, 3), RED, dtype=np.uint8),
        np.full((2, 3, 3), (1.0, 0.0, 0.0)),
        np.full((2, 3, 3), (1.0, 0.0, 0.0), dtype=np.float16),
        np.full((2, 3, 3), (65535, 0, 0), dtype=np.uint16),
        np.full((2, 3, 3), (True, False, False)),
        np.full((2, 3, 4), (255, 0, 0, 255), dtype=np.uint8),
        np.full((3, 2, 3), RED, dtype=np.uint8).transpose(1, 0, 2),
        np.full((2, 3, 3), RED, dtype=np.uint8)[::-1],
    ],
    ids=["uint8", "float64", "float16", "uint16", "bool", "rgba", "transposed", "flipped"],
)
def test_arrays(array: np.ndarray) -> None:
    before = array.copy()
    assert_same(load_image(array), Image.new("RGB", (3, 2), RED))
    assert np.array_equal(array, before)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_grey_arrays_and_rounding(shape: tuple[int, ...]) -> None:
    assert load_image(np.full(shape, 0.5)).getpixel((2, 1)) == (128, 128, 128)
    assert load_image(np.full(shape, 128 * 257, dtype=np.uint16)).getpixel((2, 1)) == (128, 128, 128)


def test_array_and_image_do_not_share_memory() -> None:
    array = np.zeros((2, 3), dtype=np.uint8)
    loaded = load_image(array)
    array[:] = 255
    assert loaded.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_tensors_are_channels_first(dtype: torch.dtype) -> None:
    tensor = torch.zeros(3, 2, 5, dtype=dtype)
    tensor[0] = 255 if dtype == torch.uint8 else 1
    assert_same(load_image(tensor.requires_grad_(dtype.is_floating_point)), Image.new("RGB", (5, 2), RED))
    assert load_image(torch.ones(2, 5)).size == (5, 2)


# Orientation

# How the picture lies in the file, for each way of holding the camera.
HELD = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    upright = Image.new("RGB", (48, 32), WHITE)
    upright.paste(RED, (0, 0, 16, 16))
    turned = upright if orientation == 1 else upright.transpose(HELD[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    data = encoded(turned, kind, exif=exif, **options)
    for loaded in (load_image(data), load_image(Image.open(io.BytesIO(data))), load_image(load_image(data))):
        assert loaded.size == (48, 32)
        assert np.abs(np.asarray(loaded, dtype=int) - np.asarray(upright, dtype=int)).mean() < 3


def test_unreadable_exif_is_no_reason_to_refuse(corner: Image.Image) -> None:
    assert load_image(encoded(corner, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")).size == (3, 2)


# Modes


def test_alpha_is_laid_on_white() -> None:
    half = Image.new("RGBA", (1, 1), (255, 0, 0, 128))
    for source in (half, encoded(half), encoded(half, "WEBP", lossless=True), np.asarray(half)):
        assert load_image(source).getpixel((0, 0)) == pytest.approx((255, 127, 127), abs=1)
    assert load_image(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0)) == WHITE


def test_palette_with_and_without_transparency() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert load_image(encoded(palette)).getpixel((0, 0)) == RED
    assert load_image(encoded(palette, transparency=0)).getpixel((0, 0)) == WHITE
    assert load_image(encoded(palette, transparency=0)).getpixel((1, 0)) == (0, 0, 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image(encoded(palette, transparency=b"\x00\xff"))


def test_cmyk_grey_and_bilevel() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert load_image(cyan).getpixel((0, 0)) == (0, 255, 255)
    assert load_image(encoded(cyan, "JPEG", quality=95)).getpixel((4, 4)) == pytest.approx(
        (0, 255, 255), abs=6
    )
    assert load_image(encoded(Image.new("L", (2, 2), 77))).getpixel((0, 0)) == (77, 77, 77)
    assert load_image(encoded(Image.new("1", (2, 2), 1))).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    grey = Image.fromarray(np.array([[0, 128 * 257, 65535]], dtype=np.uint16))
    loaded = load_image(encoded(grey, kind))
    assert [loaded.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_integer_and_float_pil_modes() -> None:
    assert load_image(Image.new("I", (1, 1), 65535)).getpixel((0, 0)) == WHITE
    assert load_image(Image.new("L", (1, 1), 200).convert("I")).getpixel((0, 0)) == (200, 200, 200)
    assert load_image(Image.new("F", (1, 1), 0.2)).getpixel((0, 0)) == (51, 51, 51)
    with pytest.raises(ImageError, match="0–1"):
        load_image(Image.new("F", (1, 1), 200.0))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (RED, (0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert load_image(data).size == (20, 10)
    assert load_image(data).getpixel((5, 5)) == pytest.approx(RED, abs=3)


# Size


def test_one_pixel() -> None:
    assert load_image(encoded(Image.new("RGB", (1, 1), RED))).getpixel((0, 0)) == RED


def test_a_very_large_image_is_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (12_000, 9_000)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(path).size == (12_000, 9_000)


def test_the_limit_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (12_000, 9_000)).save(path)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(
        ImageError, match=r"large\.png.*12000×9000.*108,000,000.*limit is 1,000,000.*max_pixels"
    ):
        load_image(path, max_pixels=1_000_000)
    with pytest.raises(ImageError, match="limit"):
        load_image(np.zeros((10, 11), dtype=np.uint8), max_pixels=100)
    assert load_image(np.zeros((10, 10), dtype=np.uint8), max_pixels=100).size == (10, 10)


@pytest.mark.parametrize("side", [13_000, 60_000])
def test_decompression_bombs(side: int) -> None:
    """13,000² passes Pillow's own check with a warning; 60,000² does not pass it."""
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + side.to_bytes(4, "big") * 2 + b"\x01\0\0\0\0"
    bomb = header + _crc(header[12:]) + encoded(Image.new("1", (1, 1)))[33:]
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match="too large.*limit is 150,000,000"):
        load_image(bomb)
    assert limit == Image.MAX_IMAGE_PIXELS


def _crc(chunk: bytes) -> bytes:
    return zlib.crc32(chunk).to_bytes(4, "big")


# Bad input: one clear error that names the thing


def test_missing_file_directory_and_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"none\.jpg: no such file"):
        load_image(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match="is a directory"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match=r"empty\.jpg is empty"):
        load_image(str(tmp_path / "empty.jpg"))
    with pytest.raises(ImageError, match="path is empty"):
        load_image("")
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image("nul\0byte.png")
    with pytest.raises(ImageError, match=r"cannot be opened") as caught:
        load_image("x" * 100_000)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_and_corrupt_files(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "broken.img"
    for share in (0.02, 0.3, 0.7):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ImageError, match=r"broken\.img"):
            load_image(path)


def test_damaged_bytes_never_give_another_error() -> None:
    """Whatever bits flip, the image is read or refused."""
    rng = np.random.default_rng(0)
    gradient = np.linspace(0, 255, 32 * 32 * 3).astype(np.uint8).reshape(32, 32, 3)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        data = encoded(Image.fromarray(gradient), kind)
        for _ in range(60):
            damaged = bytearray(data)
            for position in rng.integers(0, len(data), 6):
                damaged[position] = rng.integers(256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    assert load_image(damaged, max_pixels=1_000_000).mode == "RGB"
                except ImageError:
                    pass


@pytest.mark.parametrize(
    "data", [b"", b"hello, I am not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8"]
)
def test_bytes_that_are_no_image(data: bytes) -> None:
    with pytest.raises(ImageError, match="image bytes"):
        load_image(data)


@pytest.mark.parametrize(
    "url", ["data:image/png;base64", "data:image/png;base64,####", "data:,hello", "data:,"]
)
def test_bad_data_urls(url: str) -> None:
    with pytest.raises(ImageError, match="data URL"):
        load_image(url)


@pytest.mark.parametrize("source", [None, 3, ["a.jpg"], {"image": 1}, object()])
def test_wrong_types(source: object) -> None:
    with pytest.raises(ImageError, match=type(source).__name__):
        load_image(source)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 5, 3), dtype=np.uint8), "no pixels"),
        (np.zeros((5, 0), dtype=np.uint8), "no pixels"),
        (np.full((2, 2, 3), np.nan), "NaN"),
        (np.full((2, 2), np.inf), "NaN or infinity"),
        (np.full((2, 2, 3), 200.0), "0–1"),
        (np.full((2, 2, 3), -1.0), "0–1"),
        (np.zeros((2, 2, 3), dtype=np.int64), "int64"),
        (np.zeros((2, 2, 3), dtype=object), "object"),
        (np.zeros((2, 2, 3), dtype=complex), "complex"),
        (np.zeros((3, 8, 8), dtype=np.uint8), r"\(3, 8, 8\).*\(H, W, C\)"),
        (np.zeros((1, 8, 8, 3), dtype=np.uint8), "one image at a time"),
        (np.zeros(4, dtype=np.uint8), "expected"),
        (torch.zeros(8, 8, 3), r"tensor of shape \(8, 8, 3\).*\(C, H, W\)"),
        (torch.zeros(1, 3, 8, 8), "one image at a time"),
        (torch.full((3, 2, 2), float("nan")), "NaN"),
        (torch.zeros(3, 0, 4), "no pixels"),
    ],
)
def test_bad_arrays(array: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_image(array)  # type: ignore[arg-type]


def test_empty_pil_image() -> None:
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 4)))


# URLs


class _Site(http.server.BaseHTTPRequestHandler):
    pages: dict[str, bytes] = {"/red.png": encoded(Image.new("RGB", (4, 3), RED)), "/text": b"<html>"}

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_urls(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same(load_image(f"{site}/red.png"), Image.new("RGB", (4, 3), RED))
    with pytest.raises(ImageError, match=r"/none\.png.*404"):
        load_image(f"{site}/none.png")
    with pytest.raises(ImageError, match="/text is not an image"):
        load_image(f"{site}/text")
    monkeypatch.setattr(images, "MAX_DOWNLOAD", 20)
    with pytest.raises(ImageError, match="larger than"):
        load_image(f"{site}/red.png")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.png", "http://", "https://exa mple/a.png"])
def test_unreachable_urls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ImageError, match="cannot be downloaded"):
        load_image(url)


@pytest.mark.parametrize("kind", ["PPM", "JPEG2000", "ICO", "BMP", "TIFF", "WEBP", "AVIF"])
def test_each_format_that_the_message_names_is_read(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 40)).save(file, format=kind)
    assert load_image(file.getvalue()).size == (16, 16)

"""`load_image`: the one place where anything a user may call an image becomes an upright RGB image."""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import struct
import sys
import threading
import urllib.parse
import urllib.request
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from fo1.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

ImageSource: TypeAlias = "str | Path | bytes | bytearray | memoryview | Image.Image | NDArray[Any] | Tensor"

MAX_PIXELS = 150_000_000
"""Largest image that is decoded. Below twice Pillow's own limit, where it refuses to open a file at all."""

MAX_DOWNLOAD = 100 * 2**20
"""Largest answer, in bytes, that is read from a URL."""

URL_TIMEOUT = 20.0
"""Seconds to wait for a web server."""

# Left out: formats that Pillow hands to an interpreter (EPS, WMF), and TGA, which any noise can pass for.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000", "ICO")

# What Pillow's decoders raise on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    KeyError,
    OverflowError,
    struct.error,
)

# `warnings.catch_warnings` is not thread-safe; only reading the header is serialised, not the decoding.
_HEADER_LOCK = threading.Lock()

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An upright RGB copy of any image; `source` is never changed.

    source: a path, an http(s) URL, a data URL, the bytes of an image file, a PIL image,
        a numpy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a torch tensor (H, W) or (C, H, W).
        Numbers are uint8, uint16 (65535 is white), bool, or floats from 0 to 1.
    max_pixels: limit on width × height, checked before anything is decoded. Decoding takes up to
        about 12 bytes of memory per pixel for a moment, and 4 bytes per pixel after.

    EXIF orientation is applied, alpha laid on white, and of an animation the first frame taken.
    Raises `ImageError`, naming the source, if it cannot be read or is too large.
    """
    if isinstance(source, str):
        return _from_text(source, max_pixels)
    if isinstance(source, Path):
        return _from_path(source, max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return _from_bytes(data, f"image bytes ({len(data)})", max_pixels)
    if isinstance(source, Image.Image):
        return _finish(source, _pil_name(source), max_pixels)
    if isinstance(source, np.ndarray):
        return _from_array(source, f"array of shape {source.shape}", max_pixels)
    # A tensor can only exist if its library is already imported, so this module need not import it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(source, torch.Tensor):
        return _from_tensor(source, max_pixels)
    raise ImageError(
        f"cannot read an image from {type(source).__name__}; give a path, URL, bytes, PIL image, "
        "numpy array (H, W, C) or torch tensor (C, H, W)"
    )


def _from_text(text: str, max_pixels: int) -> Image.Image:
    scheme = text[:8].lower()
    if scheme.startswith("data:"):
        return _from_bytes(_data_url(text), f"data URL {_short(text)}", max_pixels)
    if scheme.startswith(("http://", "https://")):
        return _from_bytes(_download(text), text, max_pixels)
    if not text:
        raise ImageError("the image path is empty; give the path of an image file")
    return _from_path(Path(text), max_pixels)


def _from_path(path: Path, max_pixels: int) -> Image.Image:
    name = _short(str(path))
    try:
        file = path.expanduser().open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{name} is a directory; give an image file, or a pattern such as {name}/*.jpg"
        ) from error
    except PermissionError as error:
        raise ImageError(f"{name}: permission denied; make the file readable") from error
    except (OSError, ValueError, RuntimeError) as error:  # too long, NUL inside, no home directory for "~"
        raise ImageError(f"{name!r} cannot be opened ({_short(str(error))}); check the path") from error
    with file:
        return _decode(file, name, max_pixels)


def _from_bytes(data: bytes, name: str, max_pixels: int) -> Image.Image:
    return _decode(io.BytesIO(data), name, max_pixels)


def _data_url(url: str) -> bytes:
    header, comma, payload = url.partition(",")
    if not comma:
        raise ImageError(f"data URL {_short(url)} has no comma; expected data:image/png;base64,…")
    raw = urllib.parse.unquote_to_bytes(payload)
    if not header.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error as error:
        raise ImageError(
            f"data URL {_short(url)} is not valid base64 ({error}); encode the file again"
        ) from error


def _download(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "fo1"})
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT) as answer:
            data: bytes = answer.read(MAX_DOWNLOAD + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ImageError(
            f"{url}: cannot be downloaded ({error}); check the address, or give a local file"
        ) from error
    if len(data) > MAX_DOWNLOAD:
        raise ImageError(f"{url} is larger than {MAX_DOWNLOAD >> 20} MB; download it and give the local file")
    return data


def _decode(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """The image in an open file, whose header is checked before its pixels are decoded."""
    try:
        if not file.read(1):
            raise ImageError(f"{name} is empty (0 bytes); give an image file")
        with _HEADER_LOCK, warnings.catch_warnings():
            # Our own limit follows; Pillow's warning at 89 million pixels would only say it less clearly.
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=FORMATS)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large: {error}; {_smaller(max_pixels)}") from error
    except _DAMAGE as error:
        known = ", ".join(FORMATS)
        raise ImageError(f"{name} is not an image that can be read; convert it to one of {known}") from error
    return _finish(image, name, max_pixels)


def _finish(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Check the size, decode, convert, turn upright; always a new plain image without metadata."""
    _check_size(image.size, name, max_pixels)
    try:
        image.load()
        rgb = _to_rgb(image, name)
        upright = _UPRIGHT.get(_orientation(image))
        if upright is not None:
            result = rgb.transpose(upright)
        else:
            result = rgb.copy() if rgb is image else rgb
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(f"{name} is damaged or truncated ({error}); get the file again") from error
    # A second reader must not turn the image again.
    result.info = {}
    return result


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels ({width}×{height}); give an image of at least 1×1")
    if width * height > max_pixels:
        raise ImageError(
            f"{name} is too large: {width}×{height} is {width * height:,} pixels; {_smaller(max_pixels)}"
        )


def _smaller(max_pixels: int) -> str:
    return f"the limit is {max_pixels:,}: make it smaller, cut it into tiles, or raise max_pixels"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1–8; 1 (upright) if there is none or it is unreadable."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGE:
        return 1


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """The same pixels in RGB, maybe the same object."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "I" and values.size and 0 <= values.min() and values.max() <= 0xFFFF:
            # 32-bit integers hold 16-bit greys, or 8-bit ones that somebody widened.
            values = values.astype(np.uint8 if values.max() <= 0xFF else np.uint16)
        return Image.fromarray(_to_uint8(values, name)).convert("RGB")
    if image.has_transparency_data:
        colours = image if image.mode == "RGBA" else image.convert("RGBA")
        on_white = Image.new("RGB", image.size, "white")
        on_white.paste(colours, mask=colours)
        return on_white
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_array(array: NDArray[Any], name: str, max_pixels: int) -> Image.Image:
    """An image from (H, W) or (H, W, 1 | 3 | 4)."""
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4):
        raise ImageError(f"{name}: expected (H, W) or (H, W, C) with C of 1, 3 or 4, one image at a time")
    _check_size((array.shape[1], array.shape[0]), name, max_pixels)
    values = _to_uint8(array, name)
    if channels == 1:
        values = values.reshape(values.shape[:2])
    return _finish(Image.fromarray(np.ascontiguousarray(values)), name, max_pixels)


def _from_tensor(tensor: Tensor, max_pixels: int) -> Image.Image:
    name = f"tensor of shape {tuple(tensor.shape)}"
    if tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4):
        raise ImageError(
            f"{name}: expected (C, H, W) with C of 1, 3 or 4; permute it if its channels come last"
        )
    values = tensor.detach().cpu()
    if values.is_floating_point():
        values = values.float()  # numpy has no bfloat16
    array = values.numpy()
    return _from_array(array.transpose(1, 2, 0) if array.ndim == 3 else array, name, max_pixels)


def _to_uint8(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """0–255 from uint8, uint16 (0–65535), bool or float (0–1)."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        # 65535 / 255 is exactly 257; adding half of it rounds to nearest.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageError(
            f"{name}: cannot use {array.dtype} numbers; give uint8, uint16, bool or float from 0 to 1"
        )
    if not np.isfinite(array).all():
        raise ImageError(f"{name} holds NaN or infinity; replace them")
    low, high = float(array.min()), float(array.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ImageError(
            f"{name}: floats must lie in 0–1, found {low:g} to {high:g}; rescale, or give uint8 for 0–255"
        )
    return (array.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _pil_name(image: Image.Image) -> str:
    if isinstance(image, ImageFile.ImageFile) and image.filename:
        return _short(str(image.filename))
    return f"PIL image ({image.mode}, {image.width}×{image.height})"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:60]}…"

"""`ImageFiles`: files, members of shards, and what is wrong with them."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from fo1.data.images import ImageFiles
from fo1.data.record import ImageRef
from fo1.errors import ImageError


def png(colour: str, size: tuple[int, int] = (4, 3)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """red.png; 0.tar with red.png, sub/blue.png and broken.png; packed.tar, compressed."""
    (tmp_path / "red.png").write_bytes(png("red"))
    members = {"./red.png": png("red"), "sub/blue.png": png("blue"), "broken.png": png("red")[:40]}
    for name, mode in (("0.tar", "w"), ("packed.tar", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as tar:
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return tmp_path


def test_files_and_members(folder: Path) -> None:
    files = ImageFiles()
    colours = {"red.png": (255, 0, 0), "0.tar#red.png": (255, 0, 0), "0.tar#sub/blue.png": (0, 0, 255)}
    for path, colour in colours.items():
        ref = ImageRef(path, (4, 3), folder)
        files.find(ref)
        assert files.open(ref).getpixel((0, 0)) == colour
        assert pickle.loads(pickle.dumps(files)).open(ref).size == (4, 3)
    files.find(ImageRef("https://example.org/never-asked.jpg"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no.png", "no such file"),
        ("", "no such file"),
        ("no.tar#red.png", "no.tar: no such file"),
        ("0.tar#green.png", "0.tar has no member 'green.png'"),
        ("packed.tar#red.png", "packed.tar is no plain tar file"),
    ],
)
def test_what_is_not_there(path: str, message: str, folder: Path) -> None:
    ref = ImageRef(path or "\0", root=folder)
    with pytest.raises(ImageError, match=message):
        ImageFiles().find(ref)
    with pytest.raises(ImageError):
        ImageFiles().open(ref)


def test_what_is_broken_is_named(folder: Path) -> None:
    ref = ImageRef("0.tar#broken.png", root=folder)
    ImageFiles().find(ref)
    with pytest.raises(ImageError, match=r"0\.tar#broken\.png: image bytes \(40\)"):
        ImageFiles().open(ref)
    files = ImageFiles()
    files.find(ref)
    shard = folder / "0.tar"
    shard.write_bytes(shard.read_bytes()[:2100])
    with pytest.raises(ImageError, match="cut off"):
        files.open(ref)


def test_a_size_that_is_not_the_image_s(folder: Path) -> None:
    """Boxes measured before EXIF turned the image would lie elsewhere."""
    turned = Image.new("RGB", (8, 6))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    assert ImageFiles().open(ImageRef("turned.jpg", (6, 8), folder)).size == (6, 8)
    with pytest.raises(ImageError, match=r"turned\.jpg is 6×8 upright, but its record says 8×6"):
        ImageFiles().open(ImageRef("turned.jpg", (8, 6), folder))

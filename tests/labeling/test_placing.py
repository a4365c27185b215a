from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from fo1.labeling.placing import Placing, put_file
from labeling.conftest import Run
from tiny import picture


@pytest.mark.parametrize("words", [(), ("--copy",)])
@pytest.mark.parametrize(("form", "out"), [("labelme", "photos"), ("voc", "."), ("yolo", "data")])
def test_images_that_are_where_they_should_go_stay(
    run: Run, tmp_path: Path, form: str, out: str, words: tuple[str, ...]
) -> None:
    folder = tmp_path / {"labelme": "photos", "voc": "JPEGImages", "yolo": "data/images"}[form]
    folder.mkdir(parents=True)
    picture(0).save(folder / "a.png")
    picture(1).save(tmp_path / "elsewhere.png")
    (folder / "b.png").symlink_to(tmp_path / "elsewhere.png")
    before = (folder / "a.png").read_bytes()
    assert run("label", folder, "-l", "cat", "--out", "votes").exit_code == 0
    for _ in range(2):
        assert run("export", "votes", "--format", form, "--out", out, *words).exit_code == 0
        assert (folder / "a.png").read_bytes() == before and not (folder / "a.png").is_symlink()
        assert (folder / "b.png").readlink() == tmp_path / "elsewhere.png"


def test_links_become_copies_and_another_file_is_left_alone(tmp_path: Path) -> None:
    original, target = tmp_path / "a.png", tmp_path / "out" / "a.png"
    original.write_bytes(b"mine")
    for copy in (False, False, True, True, False):
        put_file(original, target, copy)
        assert target.read_bytes() == b"mine"
    assert not target.is_symlink()  # a copy that is there will do
    target.write_bytes(b"another")
    with pytest.raises(FileExistsError, match="is another file than .*choose another --out"):
        put_file(original, target)
    assert target.read_bytes() == b"another"
    target.unlink()
    target.symlink_to(tmp_path / "gone.png")
    put_file(original, target)
    assert target.samefile(original)


def test_a_linked_original_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"mine")
    os.link(tmp_path / "real.png", tmp_path / "same.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    for copy in (False, True):
        for target in ("real.png", "same.png"):
            put_file(tmp_path / "link.png", tmp_path / target, copy)
            assert (tmp_path / target).read_bytes() == b"mine" and not (tmp_path / target).is_symlink()


class Web:
    """An image of a name that says nothing of images."""

    id = "https://example.org/show.php?image=7"

    def read(self) -> Image.Image:
        return picture(0)


def test_an_image_of_any_name_is_written_as_an_image(tmp_path: Path) -> None:
    name = Placing({Web.id: Web()}).put(Web.id, tmp_path)
    assert name.name == "show.php.jpg" and Image.open(tmp_path / name).format == "JPEG"

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cli.fakes import Run
from fo1.cli.pictures import planned
from fo1.errors import Fo1Error


def test_one_picture_is_the_named_file_with_boxes_drawn(run: Run) -> None:
    done = run("detect", "a.png", "orange", "--save", "new/out.png", "--json", "-")
    with Image.open("new/out.png") as picture:
        assert picture.size == (100, 80)
        assert len(picture.convert("RGB").getcolors(10_000) or []) > 1
    assert done.stdout.count("\n") == 1  # what was saved is said elsewhere
    assert "saved" in done.stderr


def test_several_pictures_carry_their_images_names(run: Run) -> None:
    run("detect", "a.png", "b.png", "orange", "--save", "out.jpg")
    assert {path.name for path in Path().glob("out*")} == {"out-a.jpg", "out-b.jpg"}
    run("detect", "a.png", "b.png", "orange", "--save", "drawn/")
    assert {path.name for path in Path("drawn").iterdir()} == {"a.png", "b.png"}


def test_images_of_one_name_get_pictures_of_their_own() -> None:
    sources = ["x/1.jpg", "y/1.jpg", "https://a.example/1.png?size=2", "data:image/png;base64,AAAA"]
    paths = planned(Path("drawn"), sources)
    assert [paths[source].name for source in sources] == ["1.png", "1-2.png", "1-3.png", "image.png"]


def test_the_image_itself_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    before = Path("a.png").read_bytes()
    done = run("detect", "a.png", "orange", "--save", str(tmp_path / "a.png"))
    assert done.exit_code == 2 and "overwrite" in done.stderr
    assert run("detect", "a.png", "b.png", "orange", "--save", ".").exit_code == 2
    Path("a.png").rename("out-b.png")  # what a picture of b.png would be called
    assert run("detect", "out-b.png", "b.png", "orange", "--save", "out.png").exit_code == 2
    assert Path("out-b.png").read_bytes() == before


def test_a_picture_that_cannot_be_written_is_an_error(run: Run) -> None:
    Path("file").write_text("in the way")
    done = run("detect", "a.png", "orange", "--save", "file/out.png")
    assert done.exit_code == 2 and "cannot be written" in done.stderr


def test_a_suffix_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(Fo1Error, match=r"use \.png"):
        planned(Path("out.txt"), ["a.png"])

from __future__ import annotations

import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fo1.errors import Fo1Error, ImageError
from fo1.labeling.sources import gather
from tiny import picture


def ids(*words: object, **options: object) -> list[str]:
    return [source.id for source in gather(list(map(str, words)), **options)]  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b.jpg, a.png, deep/c.png, and what is no image."""
    (tmp_path / "set" / "deep").mkdir(parents=True)
    for number, name in enumerate(("b.jpg", "a.png", "deep/c.png", ".hidden.png")):
        picture(number).save(tmp_path / "set" / name)
    (tmp_path / "set" / "notes.md").write_text("no image")
    return tmp_path / "set"


def test_a_folder_gives_its_images_in_order_by_relative_path(folder: Path, tmp_path: Path) -> None:
    assert ids(folder) == ["a.png", "b.jpg", "deep/c.png"]
    moved = tmp_path / "elsewhere" / "x"
    shutil.copytree(folder, moved)
    assert ids(moved) == ids(folder)
    assert ids(folder, without=folder / "deep") == ["a.png", "b.jpg"]


def test_several_words_share_their_common_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ids("set/deep", "set/a.png") == ["deep/c.png", "a.png"]
    assert ids("set/*.png") == ["a.png"]
    assert ids("set/**/*.png") == ["a.png", "deep/c.png"]
    assert ids("set", "set/*.png", "set/a.png") == ids("set")  # each once


def test_a_list_speaks_from_its_own_folder(folder: Path) -> None:
    (folder / "list.txt").write_text("# mine\ndeep/c.png\n\nb.jpg\nhttps://example.org/x.jpg\n")
    assert ids(folder / "list.txt") == ["deep/c.png", "b.jpg", "https://example.org/x.jpg"]


def test_members_of_a_shard_are_read_in_place(folder: Path) -> None:
    with tarfile.open(folder / "s.tar", "w") as shard:
        for name in ("b.jpg", "notes.md", "deep/c.png"):
            shard.add(folder / name, name)
    found = gather([str(folder / "s.tar")])
    assert [source.id for source in found] == ["s.tar/b.jpg", "s.tar/deep/c.png"]
    assert found[1].read().tobytes() == Image.open(folder / "deep/c.png").tobytes()
    assert "s.tar/b.jpg" in ids(folder)


def test_what_cannot_be_opened_fails_alone(folder: Path) -> None:
    (folder / "s.tar").write_bytes(b"broken" * 200)
    broken = next(source for source in gather([str(folder)]) if source.id == "s.tar")
    with pytest.raises(ImageError, match="s.tar cannot be read as a tar file"):
        broken.read()


def test_what_means_nothing_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "s.tar.gz").touch()
    for word, message in (
        ("nix", "nix: no such file or folder"),
        ("*.xyz", "no file matches"),
        ("empty", "no images found"),
        ("s.tar.gz", "make it a .tar"),
    ):
        with pytest.raises(Fo1Error, match=message):
            gather([str(tmp_path / word)])


def film(path: Path, frames: int = 10) -> None:
    """Frame n is a grey of 20 n."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            grey = np.full((48, 64, 3), 20 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


def test_every_nth_frame_of_a_video(folder: Path) -> None:
    film(folder / "film.mp4")
    found = gather([str(folder / "film.mp4")], every=4)
    assert [source.id for source in found] == [f"film.mp4/{n:06d}.jpg" for n in (0, 4, 8)]
    for source, grey in ((found[2], 160), (found[0], 0), (pickle.loads(pickle.dumps(found[1])), 80)):
        assert abs(np.asarray(source.read()).mean() - grey) < 6  # in any order, also in another process


def test_a_video_that_is_cut_off_fails_where_it_ends(folder: Path) -> None:
    pytest.importorskip("av")
    (folder / "film.mp4").write_bytes(b"no film")
    (broken,) = gather([str(folder / "film.mp4")])
    with pytest.raises(ImageError, match="film.mp4 cannot be read as a video"):
        broken.read()


def test_storage_is_read_like_a_folder(folder: Path) -> None:
    """Through fsspec, whose driver for local files stands for that of a cloud."""
    with tarfile.open(folder / "s.tar", "w") as shard:
        shard.add(folder / "b.jpg", "b.jpg")
    stored = f"file://{folder}"
    assert ids(stored) == ids(folder) == ["a.png", "b.jpg", "deep/c.png", "s.tar/b.jpg"]
    assert ids(f"{stored}/*.png", f"{stored}/deep/c.png") == ["a.png", "deep/c.png"]
    assert ids(f"{stored}/**/*.png") == ["a.png", "deep/c.png"]
    for ours, theirs in zip(gather([stored]), gather([str(folder)]), strict=True):
        assert pickle.loads(pickle.dumps(ours)).read().tobytes() == theirs.read().tobytes()


def test_storage_that_cannot_be_read(folder: Path) -> None:
    (gone,) = gather([f"file://{folder}/a.png"])
    (folder / "a.png").unlink()
    (folder / "m.mp4").touch()
    with pytest.raises(ImageError, match=r"a.png cannot be read: No such file"):
        gone.read()
    (video,) = gather([f"file://{folder}/m.mp4"])
    with pytest.raises(ImageError, match="videos are read from local files only"):
        video.read()
    for word, message in (
        (f"file://{folder}/x", "no such file"),
        ("nix://x", "cannot be reached: Protocol not known"),
    ):
        with pytest.raises(Fo1Error, match=message):
            gather([word])

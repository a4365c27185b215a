"""`fo1 track`: numbers of things, in both formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cli.fakes import Run


@pytest.fixture
def film(run: Run) -> Path:
    """Seven frames, in the folder the command runs in."""
    av = pytest.importorskip("av")
    with av.open("film.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 96, 64
        for number in range(7):
            image = Image.new("RGB", (96, 64), (30 * number, 80, 80))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return Path("film.mp4")


def test_every_third_frame(run: Run, film: Path) -> None:
    result = run("track", str(film), "--labels", "orange, apple", "--out", "tracks.jsonl", "--every", "3")
    assert result.exit_code == 0, result.stderr
    assert "3 tracks in 3 frames" in result.stderr
    rows = [json.loads(line) for line in Path("tracks.jsonl").read_text().splitlines()]
    assert [(row["frame"], row["id"]) for row in rows] == [(f, n) for f in (0, 3, 6) for n in (1, 2, 3)]
    assert rows[4] == {"frame": 3, "id": 2, "label": "orange", "box": [50.13, 20, 70, 40], "score": 0.9}


def test_mot(run: Run, film: Path) -> None:
    run("track", str(film), "-l", "apple", "-o", "tracks.txt", "--every", "6")
    assert Path("tracks.txt").read_text() == "1,1,1,2,2,2,0.9,-1,-1,-1\n7,1,1,2,2,2,0.9,-1,-1,-1\n"


def test_what_cannot_be(run: Run, film: Path, loads: list[object]) -> None:
    assert "cannot be written" in run("track", str(film), "-l", "a", "-o", "none/tracks.txt").stderr
    Path("words.mp4").write_text("no video")
    assert "words.mp4 cannot be read" in run("track", "words.mp4", "-l", "a", "-o", "x.jsonl").stderr
    assert "no label" in run("track", str(film), "-l", " , ", "-o", "x.jsonl").stderr
    assert loads == []

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from fo1 import FO1
from fo1.scene import Scene
from labeling.conftest import Run
from tiny_sam import sam

WORDS = ("label", "images", "--labels", "cat, red dog", "--batch", "2")
VOTES = "votes-00000.jsonl"


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / VOTES).read_text().splitlines()]


def half_done(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The same command as a program, running, that has kept two batches."""
    program = Path(__file__).with_name("label_run.py")
    child = subprocess.Popen([sys.executable, str(program), *WORDS, *words], cwd=folder, text=True)
    votes = folder / "out" / VOTES
    while child.poll() is None and not (votes.exists() and votes.read_bytes().count(b"\n") >= 4):
        time.sleep(0.01)
    return child


def test_killed_in_the_middle_and_resumed_is_as_never_stopped(run: Run, images: Path, tmp_path: Path) -> None:
    child = half_done(tmp_path, "--out", "out")
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    with (tmp_path / "out" / VOTES).open("a") as file:
        file.write('{"image": "more/03.png", "size"')  # as a power cut would leave it
    kept = len((tmp_path / "out" / VOTES).read_text().splitlines()) - 1
    assert 4 <= kept < 12

    done = run(*WORDS, "--out", "out", "--format", "coco")
    assert done.exit_code == 0 and "of 12 images are done already" in done.stderr
    assert run(*WORDS, "--out", "whole", "--format", "coco").exit_code == 0
    for name in (VOTES, "coco/annotations.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len({row["image"] for row in lines(tmp_path / "out")}) == len(lines(tmp_path / "out")) == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_batch_in_flight(
    run: Run, images: Path, tiny_fo1: FO1, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    looked = []

    def look(pictures: list[Image.Image], boxes: list[None]) -> list[Scene]:
        looked.append(len(pictures))
        if len(looked) == 2:
            os.kill(os.getpid(), number)
        return tiny_fo1.look_many(pictures)

    stopped = FO1(tiny_fo1.model, tiny_fo1.settings)
    monkeypatch.setattr(stopped, "look_many", look)
    monkeypatch.setattr("fo1.cli.common.load_model", lambda settings: stopped)
    done = run(*WORDS, "--out", "out")
    assert (done.exit_code, looked, len(lines(Path("out")))) == (130, [2, 2], 4)
    assert "stopped; 8 of 12 images are left: the same command goes on" in done.stderr


def test_an_interrupted_retry_is_not_finished(run: Run, images: Path) -> None:
    whole = {path: path.read_bytes() for path in images.glob("0[0-3].png")}
    for path in whole:
        path.write_bytes(b"no image")
    run(*WORDS, "--out", "out")
    for path, data in whole.items():
        path.write_bytes(data)
    from fo1.labeling import pipeline

    def stopped(rows: object, ledger: Any, tell: Any, stopping: Any) -> None:
        pipeline_keep(rows, ledger, lambda kept: (tell(kept), os.kill(os.getpid(), signal.SIGINT)), stopping)

    pipeline_keep = pipeline.keep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "keep", stopped)
        done = run(*WORDS, "--out", "out", "--retry")
    assert done.exit_code == 130 and "stopped; 1 of 12 images are left" in done.stderr
    assert "12 images in out, 0 failed" in run(*WORDS, "--out", "out", "--retry").stderr


def test_images_that_would_be_named_anew_are_refused(run: Run, images: Path, tmp_path: Path) -> None:
    run(*WORDS, "--out", "out")
    (tmp_path / "others").mkdir()
    Image.new("RGB", (80, 60)).save(tmp_path / "others" / "x.png")
    done = run("label", "images", "others", *WORDS[2:], "--out", "out")
    assert done.exit_code == 2 and "knows 00.png, which would be images/00.png now" in done.stderr
    run("label", "images", "others", *WORDS[2:], "--out", "both")
    assert "would be 00.png now" in run(*WORDS, "--out", "both").stderr
    assert "12 of 12 images are done" in run(*WORDS, "--out", "out").stderr  # its origin is as it was


def test_a_finished_run_needs_no_model(run: Run, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*WORDS, "--out", "out")
    before = (Path("out") / VOTES).read_bytes()
    monkeypatch.setattr("fo1.cli.common.load_model", None)
    done = run(*WORDS, "--out", "out", "--format", "jsonl")
    assert done.exit_code == 0 and "12 of 12 images are done already" in done.stderr
    assert (Path("out") / VOTES).read_bytes() == before
    assert len(Path("out/jsonl/detections.jsonl").read_text().splitlines()) == 12


def test_a_corrupt_image_is_reported_and_left_out(run: Run, images: Path) -> None:
    (images / "05.png").write_bytes(b"no image")
    done = run(*WORDS, "--out", "out", "--format", "yolo")
    assert done.exit_code == 0
    assert "05.png failed: " in done.stderr and "11 images in out, 1 failed\n  failed: 05.png" in done.stderr
    assert not Path("out/yolo/labels/05.txt").exists() and Path("out/yolo/labels/06.txt").exists()

    Image.new("RGB", (80, 60)).save(images / "05.png")
    assert "1 failed" in run(*WORDS, "--out", "out").stderr  # not asked for again by itself
    assert "12 images in out, 0 failed" in run(*WORDS, "--out", "out", "--retry").stderr


def test_new_images_of_a_folder_are_added(run: Run, images: Path) -> None:
    run(*WORDS, "--out", "out")
    before = (Path("out") / VOTES).read_text()
    Image.new("RGB", (80, 60)).save(images / "00a.png")
    assert "12 of 13 images are done already" in run(*WORDS, "--out", "out").stderr
    assert (Path("out") / VOTES).read_text().startswith(before)


def test_other_settings_are_refused_and_named(run: Run, images: Path) -> None:
    run(*WORDS, "--out", "out")
    done = run("label", "images", "--labels", "cat", "--out", "out")
    assert done.exit_code == 2
    assert 'labels was ["cat", "red dog"], is ["cat"]' in done.stderr and done.stderr.count("\n") == 1


def test_labels_may_be_a_file(run: Run, images: Path) -> None:
    Path("names.txt").write_text("cat\n\nred dog\n")
    run("label", "images", "--labels", "names.txt", "--out", "out")
    assert json.loads(Path("out/run.json").read_text())["settings"]["labels"] == ["cat", "red dog"]
    done = run("label", "images", "--labels", "nix.txt", "--out", "other")
    assert done.exit_code == 2 and "nix.txt: no such file" in done.stderr


def test_a_bad_threshold_is_told_before_the_work(run: Run, images: Path) -> None:
    for word, message in (
        ("dog=0.5", "no votes on 'dog'"),
        ("0.001", "from 0.02"),
        ("high", "expected a number"),
    ):
        done = run(*WORDS, "--out", "out", "--format", "coco", "--threshold", word)
        assert done.exit_code == 2 and message in done.stderr
    assert not os.path.exists("out")


@pytest.mark.slow
def test_a_real_folder(model: FO1, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = Path(__file__).parents[2] / "photos"
    monkeypatch.setattr("fo1.cli.common.load_model", lambda settings: model)
    words = ("label", photos / "cat_face.jpg", photos / "chickens.jpg", "-l", "cat, chicken", "-o", "out")
    assert run(*words, "--format", "coco").exit_code == 0
    data = json.loads(Path("out/coco/annotations.json").read_text())
    names = {category["id"]: category["name"] for category in data["categories"]}
    found = {(a["image_id"], names[a["category_id"]]) for a in data["annotations"]}
    assert (1, "cat") in found and (2, "chicken") in found


def test_boxes_that_fo1_propose_wrote(
    run: Run, images: Path, released_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(images.parent)
    words = ("label", "images", "-l", "cat", "-m", released_folder, "--device", "cpu", "-o", "out")
    finder = "nanodet?top_k=5&min_score=0"
    assert run("propose", "images", "--proposer", finder, "-o", "boxes.jsonl").exit_code == 0
    assert run(*words, "--proposer", "cached:boxes.jsonl").exit_code == 0
    proposed = [json.loads(line)["boxes"] for line in Path("boxes.jsonl").read_text().splitlines()[1:]]
    for row, boxes in zip(lines(Path("out")), proposed, strict=True):
        assert np.allclose(row["boxes"], boxes, atol=0.006) and len(boxes) == 5  # type: ignore[arg-type]
    done = run(*words, "--proposer", finder)
    assert done.exit_code == 2 and 'proposer was "cached:boxes.jsonl", is "nanodet' in done.stderr


def test_masks_are_kept_and_exported(run: Run, images: Path, tmp_path: Path) -> None:
    assert run(*WORDS, "--out", "out", "--masks", sam(tmp_path / "sam"), "--format", "coco").exit_code == 0
    row = lines(Path("out"))[0]
    masks = cast(dict[str, list[int]], row["masks"])
    width, height = cast(list[int], row["size"])
    assert masks and all(sum(counts) == width * height for counts in masks.values())
    coco = json.loads(Path("out/coco/annotations.json").read_text())["annotations"]
    areas = {sum(counts[1::2]) for counts in masks.values()}
    assert all(one["segmentation"] for one in coco)
    assert {one["area"] for one in coco if one["image_id"] == 1} <= areas
    for form in ("yolo", "labelme", "voc", "jsonl"):
        assert run("export", "out", "--format", form, "-t", "0.5").exit_code == 0
    polygons = Path("out/yolo/labels/00.txt").read_text().splitlines()
    assert polygons and all(len(line.split()) > 5 for line in polygons)
    found = json.loads(Path("out/jsonl/detections.jsonl").read_text().splitlines()[0])["detections"]
    assert all(tuple(one["mask"]["size"]) == (height, width) for one in found)

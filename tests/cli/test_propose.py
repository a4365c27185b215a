from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.fakes import Run
from fo1.cli import options
from fo1.proposals.cached import CachedProposals, pixel_key
from fo1.types import Regions
from tiny import picture
from tiny_detectors import rtdetr
from tiny_sam import sam


def records(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def photos(run: Run) -> Path:
    """Three pictures of which two look the same, and one that is broken."""
    folder = Path("photos")
    (folder / "more").mkdir(parents=True)
    for name, seed in (("a.png", 0), ("b.png", 1), ("more/a.png", 0)):
        picture(seed).save(folder / name)
    Path("bad.png").rename(folder / "z.png")
    return folder


def test_boxes_of_a_folder_and_again(run: Run, photos: Path) -> None:
    done = run("propose", "photos", "--out", "boxes.jsonl")
    assert done.exit_code == 2
    assert "z.png" in done.stderr and "2 images, 2 of them new; 1 failed" in done.stderr
    head, *rows = records("boxes.jsonl")
    assert head["made_by"].startswith("nanodet ") and "min_score=0.03" in head["made_by"]
    assert [row["image"] for row in rows] == ["a.png", "b.png"]
    assert rows[0]["pixels"] == pixel_key(picture(0)) and rows[0]["size"] == [80, 60]
    before = Path("boxes.jsonl").read_bytes()
    Path("boxes.jsonl").write_bytes(before[:-9])  # killed while writing
    again = run("propose", "photos", "--out", "boxes.jsonl", "--batch", "3")
    assert "2 images, 1 of them new" in again.stderr
    assert Path("boxes.jsonl").read_bytes() == before
    other = run("propose", "photos", "--out", "boxes.jsonl", "--proposer", "nanodet?top_k=3")
    assert other.exit_code == 2 and "choose another file" in other.stderr


def test_a_union_says_whose_each_box_is(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = rtdetr(tmp_path / "rt")
    done = run(
        "propose", "photos/*.png", "-o", "boxes.jsonl", "--proposer", f"nanodet?min_score=0+rtdetr:{folder}"
    )
    assert done.exit_code == 2
    _, first, _ = records("boxes.jsonl")
    assert set(first["sources"]) == {"nanodet", f"rtdetr:{folder}"}
    assert len(first["sources"]) == len(first["boxes"]) == len(first["scores"]) <= 100


def test_boxes_by_name_become_boxes_by_pixels(run: Run, photos: Path) -> None:
    Path("rows.json").write_text(json.dumps([{"image": "b.png", "bboxes": [[1, 2, 3, 4]]}]))
    done = run("propose", "photos/b.png", "-o", "keyed.jsonl", "--proposer", "cached:rows.json")
    assert (done.exit_code, "1 of them new" in done.stderr) == (0, True)
    (found,) = CachedProposals("keyed.jsonl").propose([picture(1)])
    assert isinstance(found, Regions) and found.xyxy.tolist() == [[1, 2, 3, 4]]


def test_images_without_boxes_are_left_out(run: Run, photos: Path) -> None:
    Path("rows.json").write_text(json.dumps([{"image": "b.png", "bboxes": [[1, 2, 3, 4]]}]))
    for batch in ("1", "3"):
        out = f"keyed{batch}.jsonl"
        done = run("propose", "photos/?.png", "-o", out, "--proposer", "cached:rows.json", "--batch", batch)
        assert done.exit_code == 2 and "1 images, 1 of them new; 2 failed" in done.stderr
        assert "rows.json has no boxes for a.png" in done.stderr
        assert [row["image"] for row in records(out)[1:]] == ["b.png"]


def test_looking_commands_hand_the_proposer_on(run: Run, loads: list[options.Settings]) -> None:
    words = ["--proposer", "text"]
    assert run("detect", "a.png", "orange", *words).exit_code == 0
    assert run("count", "a.png", "orange", *words).exit_code == 0
    assert run("find", "a.png", "orange", *words).exit_code == 0
    assert run("ask", "a.png", "What?", *words).exit_code == 0
    assert run("name", "a.png", "--region", "1", *words).exit_code == 0
    assert run("describe", "a.png", "--region", "1", *words).exit_code == 0
    assert [one.proposer for one in loads] == ["text"] * 6


def test_masks_in_every_format(run: Run, tmp_path: Path) -> None:
    asked = ["detect", "a.png", "orange", "--masks", str(sam(tmp_path / "sam"))]
    found = json.loads(run(*asked, "--json", "-", "--save", "drawn.png").stdout)["detections"]
    assert [row["mask"]["size"] for row in found] == [[80, 100]] * 2
    assert Path("drawn.png").is_file()
    areas = [sum(row["mask"]["counts"][1::2]) for row in found]
    coco = json.loads(run(*asked, "--format", "coco").stdout)["annotations"]
    assert [one["area"] for one in coco] == areas and all(one["segmentation"][0] for one in coco)
    lines = run(*asked, "--format", "yolo").stdout.splitlines()
    assert all(line.split()[0] == "0" and len(line.split()) % 2 == 1 for line in lines) and len(lines) == 2
    shapes = json.loads(run(*asked, "--format", "labelme").stdout)["shapes"]
    assert {shape["shape_type"] for shape in shapes} == {"polygon"}
    rows = [json.loads(line) for line in run(*asked, "--format", "jsonl").stdout.splitlines()]
    assert [row["mask"] for row in rows] == [row["mask"] for row in found]

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fo1 import FO1
from fo1.data.convert.problems import Problems
from fo1.data.convert.sources import kind_of, read_source
from fo1.detections import Detections
from fo1.errors import Fo1Error
from fo1.images import load_image
from fo1.labeling.ledger import Ledger
from fo1.labeling.pipeline import Picture
from fo1.labeling.votes import Found, Reading, Thresholds, vote
from labeling.conftest import Run
from scripted import saying

LABELS = ("cat", "red dog")
# Whole pixels for VOC; sixths of a digit of an 80-pixel side for YOLO; hundredths for the others.
TOLERANCE = {"coco": 0.011, "labelme": 0.011, "yolo": 0.001, "voc": 0.51}


@pytest.fixture
def labelled(run: Run, images: Path) -> Path:
    assert run("label", "images", "--labels", ", ".join(LABELS), "--out", "out").exit_code == 0
    return Path("out").absolute()


def expected(folder: Path, *thresholds: str) -> dict[str, Detections]:
    ledger = Ledger.read(folder, "votes")
    return dict(Found(ledger, Reading.of(ledger.settings, thresholds)))


@pytest.mark.parametrize("kind", ["coco", "yolo", "labelme", "voc"])
def test_our_own_readers_read_what_was_exported(run: Run, labelled: Path, kind: str) -> None:
    assert run("export", "out", "--format", kind).exit_code == 0
    path = labelled / kind / ("annotations.json" if kind == "coco" else "")
    assert kind_of(path) == kind
    problems = Problems(strict=True)
    images = labelled.parent / "images" if kind == "coco" else None
    read = {Path(one.image.path).stem[-2:]: one for one in read_source(kind, path, images, None, problems)}
    wanted = {Path(id).stem: found for id, found in expected(labelled).items()}
    assert read.keys() == wanted.keys() and any(map(len, wanted.values()))
    for name, found in wanted.items():
        assert sorted(read[name].labels) == sorted(found.labels)
        order = np.argsort(found.labels, kind="stable")
        mine = np.argsort(read[name].labels, kind="stable")
        np.testing.assert_allclose(read[name].boxes[mine], found.xyxy[order], atol=TOLERANCE[kind])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_supervision_reads_the_same_boxes(run: Run, labelled: Path, kind: str) -> None:
    data = pytest.importorskip("supervision").DetectionDataset
    run("label", "images/*.png", "--labels", ", ".join(LABELS), "--out", "flat", "--format", kind)
    out = labelled.parent / "flat" / kind
    if kind == "coco":
        read = data.from_coco(str(labelled.parent / "images"), str(out / "annotations.json"))
    elif kind == "yolo":
        read = data.from_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    else:
        read = data.from_pascal_voc(str(out / "JPEGImages"), str(out / "Annotations"))
    wanted = {Path(id).stem: found for id, found in expected(labelled.parent / "flat").items()}
    assert len(read) == len(wanted) == 9
    for path, _, found in read:
        one = wanted[Path(path).stem]
        assert [read.classes[n] for n in found.class_id] == list(one.labels)
        np.testing.assert_allclose(found.xyxy, one.xyxy, atol=TOLERANCE[kind])


def test_coco_tools_read_it(run: Run, labelled: Path) -> None:
    tools = pytest.importorskip("faster_coco_eval")
    run("export", "out", "--format", "coco", "--threshold", "0.3")
    read = tools.COCO(str(labelled / "coco" / "annotations.json"))
    wanted = expected(labelled, "0.3")
    assert [read.imgs[n]["file_name"] for n in sorted(read.imgs)] == list(wanted)
    for number, found in enumerate(wanted.values(), start=1):
        rows = read.loadAnns(read.getAnnIds(imgIds=[number]))
        assert [read.cats[row["category_id"]]["name"] for row in rows] == list(found.labels)
        boxes = np.array([row["bbox"] for row in rows]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, found.xyxy, atol=0.021)
    assert len({row["id"] for row in read.anns.values()}) == sum(map(len, wanted.values()))


def test_the_layout_of_yolo(run: Run, labelled: Path) -> None:
    """What ultralytics asks for: `train` and `val`, seen from data.yaml; labels where images says labels."""
    import yaml

    run("export", "out", "--format", "yolo")
    data = yaml.safe_load((labelled / "yolo" / "data.yaml").read_text())
    assert data == {"train": "images", "val": "images", "names": {0: "cat", 1: "red dog"}}
    pictures = sorted((labelled / "yolo" / "images").rglob("*.png"))
    assert len(pictures) == 12
    for picture in pictures:
        Image.open(picture).load()
        text = Path(str(picture).replace("/images/", "/labels/")).with_suffix(".txt").read_text()
        for line in text.splitlines():
            number, *shares = line.split()
            assert int(number) in (0, 1) and len(shares) == 4
            assert all(0 <= float(share) <= 1 for share in shares)


def test_thresholds_of_all_and_of_one_label(labelled: Path) -> None:
    low, high = expected(labelled, "0.02"), expected(labelled, "0.02", "cat=0.9")
    for name, found in low.items():
        assert set(found.labels) <= set(LABELS)
        kept = [(d.label, d.region) for d in high[name]]
        assert [pair for pair in kept if pair[0] == "red dog"] == [
            (d.label, d.region) for d in found if d.label == "red dog"
        ]
        assert all(d.score >= 0.9 for d in high[name] if d.label == "cat")
    assert sum(map(len, low.values())) > sum(map(len, high.values())) > 0


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7])
def test_votes_say_what_the_model_would_report(
    labelled: Path, tiny_fo1: FO1, threshold: float | None
) -> None:
    words = () if threshold is None else (str(threshold),)
    for name, found in expected(labelled, *words).items():
        image = load_image(labelled.parent / "images" / name)
        told = tiny_fo1.look(image).detect(LABELS, threshold)
        assert (found.labels, found.regions.tolist()) == (told.labels, told.regions.tolist())
        np.testing.assert_allclose(found.xyxy, told.xyxy, atol=0.01)
        np.testing.assert_allclose(found.scores, told.scores, atol=1e-3)


def test_a_model_that_writes_is_taken_at_its_word(released: FO1, tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), "teal")
    answer = "<ground>cat</ground><objects><region1></objects>"
    with saying(released.model, answer):
        boxes = [[0, 0, 20, 20], [30, 10, 50, 30]]
        scene = released.look(image, boxes)
    one = FO1(released.model, released.settings)
    one.look_many = lambda images, boxes: [scene]  # type: ignore[method-assign, assignment]
    with saying(released.model, answer):
        (row,) = vote(one, [Picture("a.png", image)], ["cat"])
    assert row["named"] == {"cat": [1]}
    settings: dict[str, Any] = {"labels": ["cat"], "threshold": 0.0, "duplicates": [0.5, 0.5]}
    assert Reading.of(settings).detections(row).regions.tolist() == [1]
    assert 1 in Reading.of(settings, ["0.02"]).detections(row).regions


def test_parsing_thresholds() -> None:
    assert Thresholds.parse(["0.4, cat=0.6"], LABELS) == Thresholds(0.4, {"cat": 0.6})
    assert Thresholds.parse(["red dog=1"], LABELS) == Thresholds(None, {"red dog": 1.0})
    with pytest.raises(Fo1Error, match="no votes on 'dog'"):
        Thresholds.parse(["dog=0.5"], LABELS)


def test_like_named_images_stay_apart_and_copies_are_files(run: Run, images: Path) -> None:
    Image.new("RGB", (30, 30)).save(images / "00.jpg")
    run("label", "images", "--labels", "cat", "--out", "out")
    for kind, pictures, texts in (("voc", "JPEGImages", "Annotations"), ("yolo", "images", "labels")):
        assert run("export", "out", "--format", kind, "--copy", "--out", kind).exit_code == 0
        stems = sorted(
            p.with_suffix("").relative_to(Path(kind, pictures)) for p in Path(kind, pictures).rglob("*.*")
        )
        assert stems == sorted(
            p.with_suffix("").relative_to(Path(kind, texts)) for p in Path(kind, texts).rglob("*.*")
        )
        assert len(set(stems)) == 13
        assert not any(p.is_symlink() for p in Path(kind, pictures).rglob("*"))


def test_images_that_have_gone_are_said_and_left_out(run: Run, labelled: Path) -> None:
    (labelled.parent / "images" / "00.png").unlink()
    done = run("export", "out", "--format", "labelme")
    assert done.exit_code == 0 and "without 1 images not found" in done.stderr
    assert json.loads((labelled / "labelme" / "00.json").read_text())["imagePath"] == "00.png"


def test_export_needs_no_torch(labelled: Path) -> None:
    code = (
        "import sys; from fo1.cli.main import app\n"
        "try: app(['export', 'out', '--format', 'voc'])\n"
        "except SystemExit as end: assert not end.code and 'torch' not in sys.modules, end.code"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=labelled.parent)

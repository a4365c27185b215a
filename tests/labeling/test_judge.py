from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fo1 import FO1
from fo1.data.convert.problems import Problems
from fo1.data.convert.sources import read_source
from fo1.errors import RegionError
from fo1.labeling import Decision, Limits, judge
from fo1.labeling.judging import Labelled, weigh
from labeling.conftest import Run
from tiny import picture

CLASSES = ["cat", "red dog", "cup"]
BOXES = [[0, 0, 40, 30], [40, 0, 80, 30], [10.25, 5.5, 30, 20]]
LABELS = ["cat", "red dog", "red dog"]


def coco(folder: Path) -> Path:
    """Three boxes on each of five images, a crowd, and keys nobody knows."""
    folder.mkdir()
    data = {
        "info": {"by": "us"},
        "images": [],
        "annotations": [],
        "categories": [
            {"id": 10 * n, "name": name.replace(" ", "_"), "more": n} for n, name in enumerate(CLASSES)
        ],
    }
    for number in range(5):
        picture(number).save(folder / f"{number}.png")
        data["images"].append(
            {"id": number, "file_name": f"{number}.png", "width": 80, "height": 60, "who": "me"}
        )
        for box, label in zip(BOXES, LABELS, strict=True):
            row = {
                "id": len(data["annotations"]),
                "image_id": number,
                "category_id": 10 * CLASSES.index(label),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "note": "kept",
            }
            data["annotations"].append(row)
    crowd = {"id": 99, "image_id": 0, "category_id": 0, "bbox": [0, 0, 9, 9], "iscrowd": 1}
    data["annotations"].append(crowd)
    (folder / "boxes.json").write_text(json.dumps(data))
    return folder / "boxes.json"


def test_one_verdict_for_each_box_in_order(tiny_fo1: FO1) -> None:
    found = judge(tiny_fo1, picture(0), BOXES, LABELS, CLASSES)
    assert [verdict.label for verdict in found] == LABELS
    for verdict in found:
        assert verdict.other in CLASSES and verdict.other != verdict.label
        assert 0 <= verdict.confidence <= 1
    assert all(v.right for v in judge(tiny_fo1, picture(0), BOXES, LABELS, limits=Limits(accept=0)))
    none = judge(tiny_fo1, picture(0), BOXES, LABELS, limits=Limits(accept=1, relabel=1))
    assert {v.decision for v in none} == {Decision.reject}


def test_scores_are_those_of_detect_and_chances_those_of_names(tiny_fo1: FO1) -> None:
    image = picture(1)
    given = Labelled(np.array(BOXES, dtype=np.float32), tuple(LABELS))
    (row,) = weigh(tiny_fo1, [image], [given], CLASSES)
    own = tiny_fo1.look(image).regions
    scene = tiny_fo1.look(image, np.concatenate([given.boxes, own.xyxy]))
    told = scene.detect(CLASSES).confidence
    for box in range(3):
        assert dict(scene.names(box, CLASSES)) == pytest.approx(row["chances"][box], abs=1e-5)
        for name in CLASSES:
            assert row["scores"][box].get(name, 0) == pytest.approx(told[name][box], abs=1e-4)
    for thing in row["missed"]:
        assert thing["box"] not in BOXES


def test_boxes_of_a_live_detector(tiny_fo1: FO1) -> None:
    """Plain arrays; the answer filters them."""
    assert judge(tiny_fo1, picture(0), np.zeros((0, 4)), []) == []
    with pytest.raises(RegionError, match="2 labels for 3 boxes"):
        judge(tiny_fo1, picture(0), BOXES, LABELS[:2])
    keep = [v.right for v in judge(tiny_fo1, picture(0), np.array(BOXES), np.array(LABELS), CLASSES)]
    assert len(np.array(BOXES)[keep]) == sum(keep)


def test_white_space_in_names_does_not_matter(tiny_fo1: FO1) -> None:
    plain = judge(tiny_fo1, picture(0), BOXES, LABELS, CLASSES)
    odd = judge(tiny_fo1, picture(0), BOXES, [" cat", "red  dog", "red dog "], ["cat\n", "red\tdog", " cup "])
    assert [verdict.label for verdict in odd] == [" cat", "red  dog", "red dog "]
    spelled = {"cat": "cat\n", "red dog": "red\tdog", "cup": " cup "}
    for one, same in zip(odd, plain, strict=True):
        assert (one.decision, one.confidence, one.score) == (same.decision, same.confidence, same.score)
        assert one.other == spelled[str(same.other)]


def test_coco_is_filtered_and_all_else_in_it_stays(run: Run, tmp_path: Path) -> None:
    path = coco(tmp_path / "set")
    before = json.loads(path.read_text())
    done = run("judge", path, "--out", "out", "--accept", "0.4", "--relabel", "0.5", "--batch", "2")
    assert done.exit_code == 0, done.stderr
    after = json.loads(Path("out/filtered/boxes.json").read_text())
    assert {k: v for k, v in after.items() if k != "annotations"} == {
        k: v for k, v in before.items() if k != "annotations"
    }
    report = json.loads(Path("out/report.json").read_text())
    decided = [(box["decision"], box["other"]) for image in report["images"] for box in image["boxes"]]
    assert len({decision for decision, _ in decided}) > 1
    wanted = []
    for row, (decision, other) in zip(before["annotations"], decided, strict=False):
        if decision != "reject":
            changed = {"category_id": 10 * CLASSES.index(other)} if decision == "relabel" else {}
            wanted.append(row | changed)
    assert after["annotations"] == [*wanted, before["annotations"][-1]]
    table = Path("out/report.md").read_text()
    assert re.search(r"\| \*\*all\*\* \|", table) and Image.open("out/sample.png").size[0] == 1440
    accepted = sum(decision == "accept" for decision, _ in decided)
    assert f"{accepted} accept" in done.stderr


def test_other_limits_need_no_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = coco(tmp_path / "set")
    run("judge", path, "--out", "out")
    monkeypatch.setattr("fo1.cli.common.load_model", None)
    assert run("judge", path, "--out", "out", "--accept", "0").exit_code == 0
    assert json.loads(Path("out/filtered/boxes.json").read_text()) == json.loads(path.read_text())
    assert run("judge", path, "--out", "out", "--accept", "1", "--relabel", "1").exit_code == 0
    left = json.loads(Path("out/filtered/boxes.json").read_text())["annotations"]
    assert [row["id"] for row in left] == [99]  # the crowd was not judged


def test_changed_annotations_are_another_run(run: Run, tmp_path: Path) -> None:
    path = coco(tmp_path / "set")
    run("judge", path, "--out", "out")
    path.write_text(path.read_text().replace("40", "41"))
    done = run("judge", path, "--out", "out")
    assert done.exit_code == 2 and "annotations was" in done.stderr


@pytest.mark.parametrize("kind", ["yolo", "labelme", "voc"])
def test_every_format_comes_back_as_itself(run: Run, images: Path, kind: str) -> None:
    run("label", "images", "--labels", "cat, red dog", "--out", "labels", "--format", kind, "-t", "0.3")
    source = Path("labels", kind)
    everything = run("judge", source, "--out", "all", "--accept", "0")
    assert everything.exit_code == 0, everything.stderr
    some = run("judge", source, "--out", "some", "--accept", "0.5", "--relabel", "0.6")
    assert some.exit_code == 0, some.stderr

    def read(folder: Path) -> dict[str, list[tuple[str, list[float]]]]:
        pictures = source.absolute() / "JPEGImages" if kind == "voc" else None
        found = read_source(kind, folder, pictures, None, Problems(strict=True))
        return {
            str(one.id): [
                (str(label), box) for label, box in zip(one.labels, one.boxes.tolist(), strict=True)
            ]
            for one in found
        }

    before = read(source)
    assert read(Path("all/filtered")) == before
    report = json.loads(Path("some/report.json").read_text())
    decided = [box for image in report["images"] for box in image["boxes"]]
    assert {"accept", "reject", "relabel"} <= {box["decision"] for box in decided}
    kept = sum(len(rows) for rows in read(Path("some/filtered")).values())
    assert kept == sum(box["decision"] != "reject" for box in decided) < len(decided)
    names = [label for rows in read(Path("some/filtered")).values() for label, _ in rows]
    finals = [
        b["label"] if b["decision"] == "accept" else b["other"] for b in decided if b["decision"] != "reject"
    ]
    assert sorted(names) == sorted(finals)


def test_what_has_no_labelled_boxes_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "talk.jsonl").write_text("{}\n")
    done = run("judge", "talk.jsonl", "--out", "out")
    assert done.exit_code == 2 and "no labelled boxes" in done.stderr

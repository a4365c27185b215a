from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks.scripted_scene import (
    ScriptedScene,
    categories,
    draw,
    figures,
    image,
    thing,
    write_json,
)
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.refcoco import RefCoco, refcoco, refcoco_plus, refcocog

LEFT, RIGHT = [0, 0, 40, 40], [100, 0, 140, 40]


def ref(number: int, on: int, target: Any, split: str, *phrases: str) -> dict[str, Any]:
    """As the official pickles have them; `raw` is what people typed, `sent` what tools use."""
    sentences = [
        {"sent_id": i, "raw": phrase.title() + ".", "sent": phrase, "tokens": phrase.split()}
        for i, phrase in enumerate(phrases)
    ]
    return {
        "ref_id": number,
        "image_id": on,
        "ann_id": target,
        "category_id": 1,
        "split": split,
        "file_name": f"COCO_train2014_{on:012}_{number}.jpg",
        "sent_ids": list(range(len(phrases))),
        "sentences": sentences,
    }


REFS = [
    ref(7, 1, 10, "val", "left cat", "cat, facing us"),
    ref(8, 2, 12, "val", "dog"),
    ref(9, 1, 11, "val", "right cat"),
    ref(5, 2, 12, "testA", "the dog"),
]


def folder(path: Path, refs: Any = REFS, name: str = "refcoco", file: str = "refs(unc).p") -> Path:
    instances = {
        "images": [image(1), image(2)],
        "annotations": [
            thing(10, 1, 1, [0, 0, 40, 40]),
            thing(11, 1, 1, [100, 0, 40, 40]),
            thing(12, 2, 2, [0, 0, 40, 40]),
        ],
        "categories": categories(["cat", "dog"], 2),
    }
    write_json(path / name / "instances.json", instances)
    (path / name / file).write_bytes(pickle.dumps(refs, protocol=2))
    draw(path / "train2014" / "000000000001.jpg", path / "train2014" / "000000000002.jpg")
    return path


def test_a_sample_a_sentence_image_by_image(tmp_path: Path) -> None:
    samples = refcoco().open(folder(tmp_path), "val")
    assert [sample.id for sample in samples] == ["7-0", "7-1", "9-0", "8-0"]
    assert [sample.truth.labels for sample in samples][:2] == [("left cat",), ("cat, facing us",)]
    assert samples[2].truth.xyxy.tolist() == [RIGHT] and samples[2].size == (200, 100)
    assert samples[3].image == tmp_path / "train2014" / "000000000002.jpg"
    assert [sample.id for sample in refcoco().open(tmp_path, "testA")] == ["5-0"]


def test_a_phrase_is_one_label(tmp_path: Path) -> None:
    _, comma, *_ = refcoco().open(folder(tmp_path), "val")
    scene = ScriptedScene([LEFT], {})
    refcoco().ask(scene, comma)
    assert scene.asked == [["cat, facing us"]]


@pytest.mark.parametrize("where", ["images/train2014", "images/mscoco/images/train2014"])
def test_images_lie_where_the_official_tools_have_them(tmp_path: Path, where: str) -> None:
    folder(tmp_path)
    (tmp_path / where).parent.mkdir(parents=True)
    (tmp_path / "train2014").rename(tmp_path / where)
    first, *_ = refcoco().open(tmp_path, "val")
    assert first.image == tmp_path / where / "000000000001.jpg"


def test_accuracy_by_hand(tmp_path: Path) -> None:
    samples = refcoco().open(folder(tmp_path), "val")
    found = figures(
        refcoco(),
        samples,
        {
            "7-0": ([LEFT, RIGHT], {"left cat": [0.3, 0.2]}),  # right, though below the threshold
            "7-1": ([[0, 0, 40, 32], RIGHT], {"cat, facing us": [0.9, 0.8]}),  # IoU 0.8
            "9-0": ([LEFT, [100, 0, 140, 20]], {"right cat": [0.1, 0.9]}),  # IoU 0.5
            "8-0": None,
        },
    )
    assert found == {"acc@0.5": 3 / 4, "acc@0.75": 2 / 4, "acc@0.9": 1 / 4}


def test_nothing_found_is_wrong(tmp_path: Path) -> None:
    (sample,) = refcoco().open(folder(tmp_path), "testA")
    found = figures(refcoco(), [sample], {"5-0": ([], {})})
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize(
    ("made", "file"), [(refcoco, "refs(unc).p"), (refcoco_plus, "refs(unc).p"), (refcocog, "refs(umd).p")]
)
def test_each_has_its_own_split(tmp_path: Path, made: Any, file: str) -> None:
    benchmark: RefCoco = made()
    folder(tmp_path, name=benchmark.name, file=file)
    assert len(benchmark.open(tmp_path, "val")) == 4
    (tmp_path / benchmark.name / file).rename(tmp_path / benchmark.name / "refs(google).p")
    with pytest.raises(
        BenchmarkError, match=r"refs\(u.*does not exist; .*its folder holds .*refs\(google\)\.p"
    ):
        benchmark.open(tmp_path, "val")


class Opened:
    """What a pickle must not do."""

    def __reduce__(self) -> Any:
        return (Path.cwd, ())


@pytest.mark.parametrize(
    ("refs", "said"),
    [
        ([Opened()], "which plain data never needs"),
        ({"refs": []}, "references must be a list, got dict"),
        ([{"ref_id": 1}], "entry 0 of references has no ann_id, image_id"),
        ([ref(7, 1, 10, "train", "cat")], "has no reference of split 'val'"),
        ([ref(7, 3, 10, "val", "cat")], "has references of image 3, which .*instances.json does not list"),
        (
            [ref(7, 1, 12, "val", "dog")],
            "reference 7 is of annotation 12, which instances.json does not list",
        ),
        (
            [ref(7, 1, 10, "val") | {"sentences": ["cat"]}],
            "reference 7 has sentences that are not of the form",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, refs: Any, said: str) -> None:
    with pytest.raises(BenchmarkError, match=r"refs\(unc\)\.p.*" + said):
        refcoco().open(folder(tmp_path, refs), "val")


def test_a_damaged_pickle_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path) / "refcoco" / "refs(unc).p"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BenchmarkError, match=r"refs\(unc\)\.p: is damaged or cut off"):
        refcoco().open(tmp_path, "val")

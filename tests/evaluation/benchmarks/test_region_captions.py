from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from evaluation.benchmarks.scripted_scene import categories, draw, image, thing, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.data.record import RecordError
from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.benchmarks.region_captions import RegionCaptions


def ref(number: int, on: int, target: int, split: str, *phrases: str) -> dict[str, Any]:
    sentences = [{"sent": phrase, "raw": phrase, "sent_id": i} for i, phrase in enumerate(phrases)]
    return {"ref_id": number, "image_id": on, "ann_id": target, "split": split, "sentences": sentences}


REFS = [
    ref(1, 1, 12, "val", "a red cup", "the cup"),
    ref(2, 1, 10, "val", "a dog"),
    ref(3, 1, 11, "train", "not asked"),
    ref(4, 2, 13, "val", "a bird"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    things = [thing(10 + i, 1, 1, [10 * i, 0, 8, 8]) for i in range(3)] + [thing(13, 2, 1, [0, 0, 9, 9])]
    write_json(
        tmp_path / "refcocog" / "instances.json",
        {"images": [image(1), image(2)], "annotations": things, "categories": categories(["cup"], 1)},
    )
    (tmp_path / "refcocog" / "refs(umd).p").write_bytes(pickle.dumps(REFS))
    draw(*(tmp_path / "train2014" / f"{n:012}.jpg" for n in (1, 2)))
    return tmp_path


def test_the_official_layout(folder: Path) -> None:
    dog, cup, bird = RegionCaptions().open(folder, "val")
    assert dog.image == folder / "train2014" / "000000000001.jpg" and dog.size == (200, 100)
    assert (dog.truth.region, dog.truth.texts) == (0, ("a dog",))
    assert (cup.truth.region, cup.truth.texts) == (1, ("a red cup", "the cup"))
    assert dog.boxes is cup.boxes and dog.boxes is not None
    assert dog.boxes.tolist() == [[0, 0, 8, 8], [20, 0, 28, 8]], "only what is described"
    assert len({dog.id, cup.id, bird.id}) == 3


def test_the_task_of_the_released_model(folder: Path) -> None:
    _, cup, _ = RegionCaptions().open(folder, "val")
    scene = TalkingScene([[0, 0, 9, 9]] * 2, {"Provide a brief description for <region1>.": "a cup"})
    assert RegionCaptions().ask(scene, cup) == {"text": "a cup"}


def test_figures_by_hand(folder: Path) -> None:
    dog, cup, bird = RegionCaptions().open(folder, "val")
    metric = RegionCaptions().metric()
    metric.update(dog, {"text": "dog"})
    metric.update(cup, None)
    metric.update(bird, {"text": "cat"})
    # "dog" for "a dog": of the 1-grams a (in all 3 images' references: weight 0, as "the cup" has none
    # but "a red cup" has) and dog only dog counts, cosine 1; no 2-gram is said; one word too short.
    alone = 10 / 4 * math.exp(-1 / 72)
    # METEOR: one match, P = 1, R = 1/2, F = 10PR / (R + 9P), one chunk of one match.
    meteor = (5 / 9.5) * 0.5
    assert metric.compute() == pytest.approx({"CIDEr": alone / 3, "METEOR-like": meteor / 3})
    assert metric.score(dog, {"text": "dog"}) == pytest.approx(meteor)
    metric.reset()
    assert metric.compute() == {"CIDEr": 0, "METEOR-like": 0}


def test_a_missing_image(folder: Path) -> None:
    (folder / "train2014" / "000000000002.jpg").unlink()
    with pytest.raises(BenchmarkError, match=r"000000000002\.jpg is not in .*train2014.*expected COCO's"):
        RegionCaptions().open(folder, "val")


def test_a_folder_of_something_else(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BenchmarkError, match=r"refs\(umd\)\.p does not exist; expected RefCOCOg"):
        RegionCaptions().open(tmp_path_factory.mktemp("empty"), "val")
    (folder / "refcocog" / "refs(umd).p").write_bytes(b"nothing")
    with pytest.raises(RecordError, match=r"refs\(umd\)\.p"):
        RegionCaptions().open(folder, "val")

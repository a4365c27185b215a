from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.benchmarks.scripted_scene import SIZE, draw, write_json
from evaluation.benchmarks.talking_scene import TalkingScene
from fo1.errors import Fo1Error
from fo1.evaluation.benchmark import BenchmarkError, Sample
from fo1.evaluation.benchmarks.composed import samples_of
from fo1.evaluation.benchmarks.scene_truth import SceneTruth
from fo1.evaluation.benchmarks.scenes import Scenes, photos
from fo1.evaluation.grounded import Grounded
from fo1.evaluation.referring import Referral
from fo1.evaluation.truth import BoxTruth
from fo1.training.smol.names import conflicts
from training.miniature import Painted

PHOTOS = Path(__file__).resolve().parents[3] / "photos"
WORDS = ["hammer", "piano", "car", "sheep", "fruit", "orange", "tangerine", "flower", "boat", "bed"]
BOXES = np.arange(16, dtype=np.float32).reshape(4, 4)
REGIONS = [[0, 0, 20, 20], [30, 0, 50, 20], [60, 0, 80, 20]]
CUP, SPOON, FORK = np.array([REGIONS], dtype=np.float32)[0]


def truth_of(sample: Sample[BoxTruth]) -> SceneTruth:
    assert isinstance(sample.truth, SceneTruth)
    return sample.truth


def composed(*scenes: Painted, vocabulary: list[str] = WORDS, seed: int = 0) -> list[SceneTruth]:
    return [truth_of(sample) for sample in samples_of(scenes, vocabulary, "made", seed)]


def scene(names: tuple[str, ...], present: tuple[str, ...] = ()) -> Painted:
    return Painted(Image.new("RGB", (40, 30)), BOXES[: len(names)], names, present)


def boxes(truth: SceneTruth, label: str) -> Any:
    return truth.xyxy[truth.rows(label)]


def absent(truth: SceneTruth) -> set[str]:
    return set(truth.labels) - set(truth.names)


def test_boxes_are_gathered_by_name() -> None:
    (truth,) = composed(scene(("car", "orange", "car")))
    assert list(dict.fromkeys(truth.names)) == ["car", "orange"]
    np.testing.assert_array_equal(boxes(truth, "car"), BOXES[[0, 2]])
    np.testing.assert_array_equal(boxes(truth, "orange"), BOXES[[1]])


def test_a_wider_name_has_the_boxes_of_narrower_ones_after_its_own() -> None:
    (truth,) = composed(scene(("armchair", "chair", "car")))
    np.testing.assert_array_equal(boxes(truth, "chair"), BOXES[[1, 0]])
    np.testing.assert_array_equal(boxes(truth, "armchair"), BOXES[[0]])


@pytest.mark.parametrize("hidden", ["chair", "armchair", "furniture"])
def test_a_name_whose_boxes_may_be_incomplete_is_not_asked(hidden: str) -> None:
    (truth,) = composed(scene(("chair", "car"), (hidden,)))
    assert set(truth.names) == {"car"} and "chair" not in truth.labels
    assert not any(conflicts(word, hidden) for word in absent(truth))


@pytest.mark.parametrize("seed", range(20))
def test_absent_labels_are_absent(seed: int) -> None:
    (truth,) = composed(scene(("orange", "car"), ("flower",)), seed=seed)
    assert 3 <= len(absent(truth)) <= 4
    assert absent(truth) <= {"hammer", "piano", "sheep", "boat", "bed"}


@pytest.mark.parametrize("seed", range(5))
def test_confusable_labels_are_of_a_kind_with_something_present_and_true_of_nothing(seed: int) -> None:
    words = ["apple", "banana", "cherry", "lemon", "orange", "tangerine", "fruit", "hammer", "pear"]
    (truth,) = composed(scene(("orange", "car"), ("pear",)), vocabulary=words, seed=seed)
    assert len(truth.confusable) == 3 and set(truth.confusable) <= {"apple", "banana", "cherry", "lemon"}


def test_a_small_vocabulary_gives_fewer_absent_labels() -> None:
    (truth,) = composed(scene(("car",)), vocabulary=["car", "piano", "bed"])
    assert absent(truth) == {"piano", "bed"}


def test_the_seed_decides_what_is_drawn() -> None:
    drawn = [[absent(t) for t in composed(*[scene(("car",))] * 10, seed=seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_photos_with_their_annotations(tmp_path: Path) -> None:
    things = [
        {"label": "cup", "box": [1, 2, 3, 4]},
        {"label": "spoon", "box": [0, 0, 1, 1]},
        {"label": "cup", "box": [155, 6, 157, 8], "also": ["mug"]},
    ]
    entry = {"image": "a.jpg", "size": list(SIZE), "objects": things, "absent": ["dog"]}
    write_json(tmp_path / "annotations.json", [entry])
    draw(tmp_path / "a.jpg")
    (sample,) = photos(tmp_path)
    truth = truth_of(sample)
    assert (sample.id, sample.image, sample.size) == ("a.jpg", tmp_path / "a.jpg", SIZE)
    assert truth.labels == ("cup", "spoon", "dog")
    np.testing.assert_array_equal(boxes(truth, "cup"), [[1, 2, 3, 4], [155, 6, 157, 8]])
    assert [one.phrase.split()[-1] for one in truth.referred] == ["cup"]


def test_the_photos_that_come_with_the_project() -> None:
    samples = photos(PHOTOS)
    assert len(samples) > 20 and sum(len(truth_of(sample).referred) for sample in samples) > 4
    for sample in samples:
        assert isinstance(sample.image, Path)
        with Image.open(sample.image) as image:
            assert image.size == sample.size
        truth, (width, height) = sample.truth, image.size
        assert all(label == label.strip().lower() for label in truth.labels)
        assert len(set(truth_of(sample).confusable)) == 3
        assert not set(truth_of(sample).confusable) & set(truth.names)
        assert (truth.xyxy[:, 2:] > truth.xyxy[:, :2]).all()
        assert (truth.xyxy >= 0).all() and (truth.xyxy <= [width, height, width, height]).all()


def test_photos_that_played_no_part_in_any_choice() -> None:
    unseen, every = (Scenes().open(PHOTOS, split) for split in ("real-unseen", "real"))
    assert len(unseen) == 20 and {one.id for one in unseen} < {one.id for one in every}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (None, "annotations.json does not exist; expected the annotations of the photos"),
        ([{"image": "a.jpg"}], "entry 0 of photos has no absent, objects, size"),
        ([{"image": "a.jpg", "size": [9, 9], "objects": [], "absent": []}], "a.jpg does not exist"),
    ],
)
def test_a_folder_of_something_else(tmp_path: Path, entries: Any, message: str) -> None:
    if entries is not None:
        write_json(tmp_path / "annotations.json", entries)
    with pytest.raises(BenchmarkError, match=message):
        Scenes().open(tmp_path, "real")


def test_composed_scenes_need_assets(tmp_path: Path) -> None:
    with pytest.raises(Fo1Error, match=str(tmp_path)):
        Scenes().open(tmp_path, "heldout-names")


TRUTH = {"cup": np.stack([CUP, FORK]), "spoon": FORK[None] + [0, 0, 0, 1]}


def case(size: tuple[int, int] = SIZE) -> Sample[BoxTruth]:
    plain = SceneTruth.made(TRUTH, ("dog", "cat"), size, np.random.default_rng(0), ("vase", "knife"))
    referred = (Referral("the left cup", CUP), Referral("the right cup", FORK))
    return Sample("a", Image.new("RGB", size), SceneTruth(**{**vars(plain), "referred": referred}))


def test_one_picture_by_hand() -> None:
    said = {
        "Provide a brief description for <region0>.": " Cup ",
        "Provide a brief description for <region2>.": "x",
    }
    scores = {
        "cup": [0.9, 0.8, 0.1],
        "spoon": [0.2, 0.1, 0.4],
        "dog": [0.1, 0.1, 0.1],
        "cat": [0.6, 0.0, 0.0],
        "vase": [0.9, 0.0, 0.9],
        "knife": [0.4, 0.4, 0.4],
        "the left cup": [0.4, 0.1, 0.2],
        "the right cup": [0.4, 0.1, 0.2],
    }
    seen = TalkingScene(REGIONS, said, scores, points=True, names=["cup", "fork", "spoon"])
    prediction = json.loads(json.dumps(Scenes().ask(seen, case())))
    metric = Scenes().metric()
    metric.update(case(), prediction)
    precision, recall = 1 / 3, 1 / 3  # found: cups 0 and 1, a cat; there: cups 0 and 2, a spoon
    positive, negative = [0.9, 0.1, 0.4], [0.8, 0.2, 0.1, *[0.1] * 3, 0.6, 0, 0]
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert metric.compute() == pytest.approx(
        {
            "F1": 2 * precision * recall / (precision + recall),
            "precision": precision,
            "recall": recall,
            "F1 known": 2 * 1 / (3 + 3),
            "F1 taught": float("nan"),
            "refused": 1 / 2,
            "refused confusable": 1 / 2,
            "count exact": 1 / 2,
            "count within one": 1,
            "referring": 1 / 2,
            "naming": 2 / 2,
            "describing": 1 / 2,
            "AUC": sum(pairs) / len(pairs),
            "objects": 3,
            "objects known": 3,
            "objects taught": 0,
            "absent labels": 2,
            "confusable labels": 2,
            "phrases": 2,
        },
        nan_ok=True,
    )
    assert metric.score(case(), prediction) == pytest.approx(1 / 3)
    assert seen.asked[:2] == [["cup", "spoon", "dog", "cat"], ["vase", "knife"]], "confusable ones apart"


def test_a_failed_picture_is_all_missed_and_nothing_refused() -> None:
    metric = Scenes().metric()
    metric.update(case(), None)
    figures = metric.compute()
    zero = ("F1", "F1 known", "recall", "refused", "refused confusable", "count exact", "count within one")
    assert {figures[name] for name in zero} == {0}
    assert (figures["referring"], figures["objects"], figures["absent labels"]) == (0, 3, 2)
    assert np.isnan([figures["naming"], figures["describing"], figures["AUC"]]).all()


def test_names_by_where_they_could_be_known_from() -> None:
    things = {"cup": CUP[None], "pencil": FORK[None]}
    truth = SceneTruth.made(things, ("tulip", "gizmo"), SIZE, np.random.default_rng(0))
    one = Sample("a", Image.new("RGB", SIZE), truth)
    seen = TalkingScene(REGIONS, scores={"cup": [0.9, 0, 0], "tulip": [0, 0.9, 0]}, points=True)
    metric = Scenes().metric()
    metric.update(one, Grounded.of(seen, truth.labels).to_json())
    figures = metric.compute()
    assert (figures["F1 known"], figures["F1 taught"]) == (1, 0), "the tulip is wrong among taught names"
    assert (figures["objects known"], figures["objects taught"], figures["F1"]) == (1, 1, 1 / 2)
    assert np.isnan(figures["refused confusable"]), "none was asked"


def test_runs_of_before_asked_no_confusable_labels() -> None:
    asked = Scenes().ask(TalkingScene([], points=True), case())
    metric = Scenes().metric()
    metric.update(case(), {key: value for key, value in asked.items() if key != "mistaken"})
    assert np.isnan(metric.compute()["refused confusable"])


def test_a_model_that_knows_no_names_only_describes() -> None:
    said = {f"Provide a brief description for <region{n}>.": "cup" for n in (0, 2)}
    metric = Scenes().metric()
    metric.update(case(), Scenes().ask(TalkingScene(REGIONS, said, points=True), case()))
    figures = metric.compute()
    assert np.isnan(figures["naming"]) and figures["describing"] == 1 / 2


def test_a_thing_that_no_region_covers_is_not_named() -> None:
    metric = Scenes().metric()
    metric.update(case(), Scenes().ask(TalkingScene([[0, 0, 200, 100]], points=True), case()))
    assert np.isnan(metric.compute()["describing"])


def test_a_picture_without_regions() -> None:
    metric = Scenes().metric()
    metric.update(case(), Scenes().ask(TalkingScene([], points=True), case()))
    figures = metric.compute()
    assert (figures["recall"], figures["refused"], figures["referring"]) == (0, 1, 0)


def test_boxes_alone_are_scored_too() -> None:
    seen = TalkingScene(REGIONS, scores={"cup": [0.9, 0, 0.9]}, points=True)
    metric = Scenes().metric()
    metric.update(case(), Grounded.of(seen, case().truth.labels).to_json())
    figures = metric.compute()
    assert figures["recall"] == pytest.approx(2 / 3) and np.isnan(figures["referring"])

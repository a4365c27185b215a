from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.answers import Tiles, tiles, tiny_model
from fo1.errors import Fo1Error
from fo1.evaluation.benchmark import BenchmarkError, Prediction, Sample
from fo1.evaluation.predictions import NAME, PredictionFile, RunError
from fo1.evaluation.proposing import Proposals
from fo1.evaluation.run import open_samples, run, settings_of, with_threshold
from fo1.fingerprint import fingerprint
from fo1.pipeline import FO1
from fo1.proposals.proposal_file import ProposalFile
from fo1.scene import Scene
from fo1.types import Regions
from tiny import picture


@pytest.fixture(scope="module")
def model() -> FO1:
    return tiny_model()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return tiles(folder)


Start = Callable[..., PredictionFile]


@pytest.fixture
def start(tmp_path: Path, data: Path) -> Start:
    """Opens the run of a model; returns the file its predictions go to."""

    def begin(model: FO1, proposals: Proposals | None = None) -> PredictionFile:
        samples, folder, split = open_samples(Tiles(), data, None)
        return PredictionFile.start(
            tmp_path / "out", settings_of(Tiles(), split, folder, samples, model, proposals)
        )

    return begin


class Counting(FO1):
    """Counts looks and images."""

    def __init__(self, model: FO1) -> None:
        super().__init__(model.model, model.settings)
        self.looks: list[int] = []

    def look_many(self, images: Any, *rest: Any) -> list[Scene]:
        self.looks.append(len(images))
        return super().look_many(images, *rest)


def test_every_sample_gets_the_answer_the_scene_gives(model: FO1, data: Path, start: Start) -> None:
    samples, *_ = open_samples(Tiles(), data, None)
    counting, done = Counting(model), []
    kept = start(model)
    run(Tiles(), counting, samples, kept, batch=3, advance=done.append)
    assert counting.looks == [3, 1], "two samples of one picture share a look"
    assert sum(done) == len(samples) == len(kept) == 8
    for one in samples:
        prediction = kept[one.id].prediction
        found = model.look(one.image).detect(one.truth.labels)
        label = one.truth.labels[0]
        assert prediction is not None and prediction["named"][label] == found.regions.tolist()
        scores = prediction["scores"][label]
        assert [scores[str(region)] for region in found.regions] == pytest.approx(found.scores, abs=1e-3)
        confidence = found.confidence[label]
        assert all(score <= confidence[int(region)] + 1e-3 for region, score in scores.items())


def test_a_stopped_run_goes_on(model: FO1, data: Path, start: Start) -> None:
    class Stopping(Tiles):
        def ask(self, scene: Scene, sample: Sample[Any]) -> Prediction:
            if sample.id == "val/2.png/tile":
                raise KeyboardInterrupt
            return super().ask(scene, sample)

    samples, *_ = open_samples(Tiles(), data, None)
    with pytest.raises(KeyboardInterrupt):
        run(Stopping(), model, samples, start(model), batch=1)
    kept = start(model)
    assert len(kept) == 4
    with kept.path.open("ab") as file:
        file.write(b'{"id": "val/2.png/tile", "predic')  # killed while writing
    counting, kept = Counting(model), start(model)
    run(Tiles(), counting, samples, kept)
    assert counting.looks == [2] and len(kept) == 8
    lines = kept.path.read_text().splitlines()
    assert len(lines) == 9 and all(json.loads(line) for line in lines)


def test_more_samples_may_be_asked_later(model: FO1, data: Path, start: Start) -> None:
    samples, *_ = open_samples(Tiles(), data, None)
    run(Tiles(), model, samples[:2], start(model))
    counting = Counting(model)
    run(Tiles(), counting, samples, start(model))
    assert counting.looks == [3]


def test_a_failed_sample_is_kept_with_its_error_and_asked_again(model: FO1, data: Path, start: Start) -> None:
    whole = (data / "1.png").read_bytes()
    (data / "1.png").write_bytes(whole[:70])
    picture(3, size=(60, 80)).save(data / "3.png")
    samples, *_ = open_samples(Tiles(), data, None)
    kept = start(model)
    run(Tiles(), model, samples, kept)
    failed = {one.id: kept[one.id].error for one in samples if kept[one.id].prediction is None}
    assert list(failed) == ["val/1.png/tile", "val/1.png/dog", "val/3.png/tile", "val/3.png/dog"]
    assert "1.png" in str(failed["val/1.png/tile"])
    assert "3.png is 60×80 pixels, expected 80×60" in str(failed["val/3.png/dog"])
    (data / "1.png").write_bytes(whole)
    kept = start(model)
    run(Tiles(), model, samples, kept)
    assert kept["val/1.png/tile"].prediction is not None and len(kept) == 8


def test_one_bad_set_of_boxes_fails_alone(model: FO1, data: Path, start: Start) -> None:
    samples, *_ = open_samples(Tiles(), data, None)
    inverted = np.array([[40, 0, 10, 30]], dtype=np.float32)
    good = np.array([[0, 0, 40, 30]], dtype=np.float32)
    boxes = [good, inverted, good, good]
    mixed = [replace(one, boxes=box) for one, box in zip(samples[::2], boxes, strict=True)]
    kept = start(model)
    run(Tiles(), model, mixed, kept)
    assert [kept[one.id].prediction is None for one in mixed] == [False, True, False, False]
    assert "ends before it starts" in str(kept[mixed[1].id].error)


def test_bugs_are_not_failed_samples(model: FO1, data: Path, start: Start) -> None:
    class Broken(Tiles):
        def ask(self, scene: Scene, sample: Sample[Any]) -> Prediction:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Broken(), model, open_samples(Tiles(), data, None)[0], start(model))


def test_other_settings_need_another_folder(model: FO1, start: Start) -> None:
    start(model)
    with pytest.raises(RunError, match=r"threshold was 0\.5, is 0\.25.*choose another --out"):
        start(with_threshold(model, 0.25))
    other = tiny_model(classes=4)
    with pytest.raises(RunError, match="weights was"):
        start(other)


def test_given_boxes_keep_the_proposers_scores(model: FO1, data: Path, start: Start) -> None:
    (first, *_), *_ = open_samples(Tiles(), data, None)
    boxes, scores = np.array([[0, 0, 40, 30], [5, 5, 9, 9]]), np.array([0.75, 0.25])
    kept = start(model)
    run(Tiles(), model, [replace(first, boxes=boxes, scores=scores)], kept)
    prediction = kept[first.id].prediction
    assert prediction is not None
    assert prediction["boxes"] == boxes.tolist() and prediction["proposer"] == [0.75, 0.25]


@pytest.mark.parametrize("by_pixels", [True, False])
def test_proposals_of_a_file(by_pixels: bool, model: FO1, data: Path, start: Start, tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    if by_pixels:
        regions = Regions.of([[1, 2, 30, 40]], (80, 60), [0.5])
        ProposalFile(file, "a test").add("other.png", picture(0), regions)
    else:
        file.write_text(json.dumps({"0.png": {"boxes": [[1, 2, 30, 40]], "scores": [0.5]}}))
    proposals = Proposals.of(str(file))
    samples, *_ = open_samples(Tiles(), data, None)
    kept = start(model, proposals)
    run(Tiles(), model, samples[:3], kept, proposals)
    prediction = kept[samples[0].id].prediction
    assert prediction is not None and prediction["boxes"] == [[1, 2, 30, 40]]
    assert kept[samples[2].id].prediction is None and "boxes.json" in str(kept[samples[2].id].error)
    assert kept.settings["proposals"].startswith("boxes.json ")


def test_proposals_that_cannot_be_used(model: FO1, data: Path, start: Start) -> None:
    class Naming(Tiles):
        keeps_boxes = True

    with pytest.raises(Fo1Error, match=r"unknown fo1\.proposers 'nanodett'; did you mean 'nanodet'"):
        Proposals.of("nanodett")
    with pytest.raises(BenchmarkError, match=r"gone\.json: no such file"):
        Proposals.of("gone.json")
    assert Proposals.of("nanodet?min_score=0.3").name == "nanodet?min_score=0.3"
    with pytest.raises(Fo1Error, match="needs its file or model"):
        Proposals.of("cached")
    with pytest.raises(BenchmarkError, match="leave --proposals out"):
        run(Naming(), model, [], start(model), Proposals("stub", None))


def test_wrong_folders_and_splits(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"tiles needs --data, a folder with tiles\.json"):
        open_samples(Tiles(), None, None)
    with pytest.raises(BenchmarkError, match=r"no split 'train'; it has val, test"):
        open_samples(Tiles(), data, "train")
    with pytest.raises(BenchmarkError, match=r"gone is no folder"):
        open_samples(Tiles(), data / "gone", None)
    with pytest.raises(BenchmarkError, match=r"tiles\.json does not exist; expected a list of pictures"):
        open_samples(Tiles(), tmp_path, None)
    (data / "tiles.json").write_text("[")
    with pytest.raises(BenchmarkError, match=r"tiles\.json, line 1: is damaged"):
        open_samples(Tiles(), data, None)
    (data / "tiles.json").write_text("[]")
    with pytest.raises(BenchmarkError, match="has no samples of tiles, split test"):
        open_samples(Tiles(), data, "test")
    (data / "tiles.json").write_text('["a.png", "a.png"]')
    with pytest.raises(BenchmarkError, match=r"2 samples have the id 'val/a\.png/tile'"):
        open_samples(Tiles(), data, None)


def test_a_fingerprint_is_of_the_weights(model: FO1) -> None:
    assert fingerprint(model.model) == fingerprint(tiny_model().model)
    changed = tiny_model()
    next(changed.model.parameters()).data.add_(1)
    assert fingerprint(model.model) != fingerprint(changed.model)


def test_a_damaged_file_of_predictions_names_the_line(tmp_path: Path, model: FO1, start: Start) -> None:
    kept = start(model)
    with kept.path.open("a") as file:
        file.write('{"id": "a", "error": "x"}\nnonsense\n')
    with pytest.raises(RunError, match=rf"{NAME}:3 is damaged"):
        start(model)
    kept.path.write_text("[]\n")
    with pytest.raises(RunError, match=rf"{NAME}:1 does not hold"):
        PredictionFile.read(tmp_path / "out")
    with pytest.raises(RunError, match="is no folder of a run"):
        PredictionFile.read(tmp_path / "gone")

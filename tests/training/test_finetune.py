"""From annotations of any kind to a model that knows them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fo1
from fo1.cli.main import app
from fo1.data.convert.problems import Problems
from fo1.data.reading import RecordFile
from fo1.data.record import Record
from fo1.data.settings import SettingError
from fo1.training import finetune as module
from fo1.training.finetune import HELD_OUT, TRAIN, Finetune, with_names
from fo1.training.tiny import tiny_model
from training.scenes import records


def coco(folder: Path, known: list[Record]) -> Path:
    names = sorted({label for record in known for label in record.labels or () if label})
    images = []
    for i, record in enumerate(known):
        width, height = record.image.size or (0, 0)
        images.append({"id": i, "file_name": record.image.path, "width": width, "height": height})
    annotations = [
        {
            "id": 100 * i + j,
            "image_id": i,
            "category_id": names.index(label),
            "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
        }
        for i, record in enumerate(known)
        for j, (box, label) in enumerate(zip(record.boxes, record.labels or (), strict=True))
        if label
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(names)]
    path = folder / "annotations.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    return coco(tmp_path, records(tmp_path, 10))


def test_what_is_held_out_follows_from_the_names(annotated: Path, tmp_path: Path) -> None:
    splits = []
    for run in ("one", "two"):
        learnt, measured = Finetune(share=0.4).prepare(annotated, None, tmp_path / run, Problems())
        assert (learnt, measured) == (6, 4)
        files = [RecordFile(tmp_path / run / "data" / name) for name in (TRAIN, HELD_OUT)]
        splits.append([[one.image.path for one in file] for file in files])
    assert splits[0] == splits[1]
    assert not {Path(p).name for p in splits[0][0]} & {Path(p).name for p in splits[0][1]}


def test_too_few_images_are_an_error(annotated: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="0 to measure with"):
        Finetune(share=1e-6).prepare(annotated, None, tmp_path / "out", Problems())
    with pytest.raises(SettingError, match="between 0 and 1"):
        Finetune(share=1.0)


def test_the_command_trains_measures_and_goes_on(
    annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a model folder to another; a second call finds the work done."""
    fo1.save(tiny_model(), tmp_path / "base")
    rates = {"encoder.connector.*": 1e-3, "language.*.down": 1e-3, "language.*.up": 1e-3}
    monkeypatch.setattr(module, "RATES", rates)
    words = ["finetune", "--coco", str(annotated), "--model", str(tmp_path / "base"), "--steps", "2"]
    for _ in range(2):
        asked = [*words, "--held-out", "0.4", "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "before" in done.output and "after" in done.output and "F1" in done.output
    assert list((tmp_path / "out" / "logs").iterdir()) and (tmp_path / "out" / "finetune.pt").is_file()
    again = fo1.load(tmp_path / "out" / "model", device="cpu", dtype="float32")
    assert len(again.look(tmp_path / "scene-0.png", [[5, 5, 50, 50]]).regions) == 1


def test_new_names_compete(model: fo1.FO1) -> None:
    inner = model.model
    known = inner.lexicon
    assert known is not None
    try:
        extended = with_names(model, ["hex nut", known.names[0]]).model.lexicon
        assert extended is not None and extended.names == (*known.names, "hex nut")
        assert extended.rivalry.item() == known.rivalry.item()
        assert extended.words[: len(known.names)].allclose(known.words)
    finally:
        inner.lexicon = known


def test_a_native_checkpoint_holds_what_was_learnt(model: fo1.FO1, tmp_path: Path) -> None:
    photo = Path(__file__).parents[2] / "photos" / "chickens.jpg"
    fo1.save(model, tmp_path / "copy")
    again = fo1.load(tmp_path / "copy")
    one, other = (m.look(photo).detect(["chicken", "duck"]) for m in (model, again))
    assert one.regions.tolist() == other.regions.tolist()
    assert one.scores == pytest.approx(other.scores, abs=1e-3)
    assert again.settings == replace(model.settings)

"""`fo1 trace`: the five tensors by which two installations are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from cli.fakes import Run
from fo1 import FO1
from fo1.cli import common
from fo1.cli.main import app
from fo1.cli.options import Settings
from golden.recordings import CASES, close, recorded, same

C1 = CASES["c1_s1_od_13boxes"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the boxes of case c1."""
    monkeypatch.chdir(tmp_path)
    Path("boxes.json").write_text(json.dumps(C1.boxes))
    return tmp_path


def trace(*words: str) -> Result:
    return CliRunner().invoke(app, ["trace", *words], catch_exceptions=False)


def question(**options: str) -> list[str]:
    """The words that ask what c1 asked, but for `options`."""
    given = {"image": str(C1.picture), "boxes": "boxes.json", "text": C1.question, "out": "f.safetensors"}
    return [word for name, value in (given | options).items() for word in (f"--{name}", value)]


@pytest.mark.usefixtures("here")
def test_a_released_checkpoint(released_folder: Path) -> None:
    words = question(model=str(released_folder), device="cpu", dtype="float32")
    done = trace(*words, "--max-new-tokens", "8")
    assert (done.exit_code, done.stderr) == (0, "")
    found, want = load_file("f.safetensors"), recorded(C1.name)
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "input_ids",
        "region_tokens",
        "position_ids",
        "first_step_logits",
        "generated_ids",
    ]
    assert set(found) == {line.split()[0] for line in done.stdout.splitlines()}
    same(found["input_ids"], want, "input_ids")
    close(found["region_tokens"], want, "region_tokens.0", 4e-5)  # 1.2e-5 seen
    same(found["position_ids"], want, "position_ids.0")
    close(found["first_step_logits"], want, "first_step_logits", 3e-5)  # 6.3e-6 seen
    same(found["generated_ids"], want, "generated_ids")


@pytest.fixture
def loads(released: FO1, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """A tiny released model for whatever name; what was asked for collects in the list."""
    asked: list[Settings] = []
    monkeypatch.setattr(common, "load_model", lambda settings: asked.append(settings) or released)
    return asked


@pytest.mark.usefixtures("here")
def test_options_reach_the_model(loads: list[Settings]) -> None:
    words = question(model="some/model", device="cuda", dtype="bfloat16", threads="3")
    assert trace(*words, "--max-new-tokens", "2").exit_code == 0
    assert loads == [Settings("some/model", "cuda", "bfloat16", 3)]
    assert load_file("f.safetensors")["generated_ids"].tolist() == [116462, 46011]


@pytest.mark.usefixtures("here", "loads")
def test_no_boxes_and_the_boxes_of_a_detection() -> None:
    Path("none.json").write_text('{"boxes": []}')
    assert trace(*question(boxes="none.json")).exit_code == 0
    found = load_file("f.safetensors")
    assert found["region_tokens"].shape == (0, 64) and -300 not in found["input_ids"]


@pytest.mark.usefixtures("here")
def test_a_bundled_kind_of_model(tiny_fo1: FO1, monkeypatch: pytest.MonkeyPatch) -> None:
    """No eyes, and a dynamic vocabulary."""
    monkeypatch.setattr(common, "load_model", lambda _: tiny_fo1)
    assert trace(*question()).exit_code == 0
    found = load_file("f.safetensors")
    assert found["region_tokens"].shape == (13, 32)
    assert torch.isfinite(found["first_step_logits"][: tiny_fo1.model.prompts.vocabulary.first_region]).all()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boxes": "missing.json"}, "--boxes missing.json cannot be read as JSON"),
        ({"boxes": "broken.json"}, "--boxes broken.json cannot be read as JSON"),
        ({"boxes": "three.json"}, "--boxes three.json, box 1 must be four numbers"),
        ({"boxes": "number.json"}, "--boxes number.json must hold a list"),
        ({"out": "."}, "--out . cannot be written"),
        ({"out": "no/f.safetensors"}, "--out no/f.safetensors cannot be written"),
    ],
)
def test_mistakes_found_before_a_model_is_loaded(
    loads: list[Settings], options: dict[str, str], message: str
) -> None:
    Path("broken.json").write_text("[[1, 2, 3, 4]")
    Path("three.json").write_text("[[1, 2, 3, 4], [1, 2, 3]]")
    Path("number.json").write_text("3")
    done = trace(*question(**options))
    assert done.exit_code == 2 and loads == []
    assert done.stderr.startswith(f"fo1: error: {message}") and done.stderr.count("\n") == 1
    assert not Path("f.safetensors").exists()


@pytest.mark.usefixtures("here", "loads")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ""}, "the text is empty"),
        ({"boxes": "many.json"}, "101 boxes, but one prompt can hold 100"),
        ({"boxes": "nan.json"}, "boxes must be finite"),
        ({"image": "missing.png"}, "missing.png: no such file"),
        ({"image": "bad.png"}, "bad.png is not an image"),
    ],
)
def test_mistakes_found_by_the_model(options: dict[str, str], message: str) -> None:
    Path("many.json").write_text(json.dumps([[1, 2, 3, 4]] * 101))
    Path("nan.json").write_text("[[1, 2, NaN, 4]]")
    Path("bad.png").write_text("no image")
    done = trace(*question(**options))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"fo1: error: {message}") and done.stderr.count("\n") == 1
    assert not Path("f.safetensors").exists()


@pytest.mark.usefixtures("here", "loads")
def test_a_disk_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    from fo1.checkpoints import shards

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "save_file", full)
    done = trace(*question())
    assert done.exit_code == 2
    assert done.stderr.startswith("fo1: error: --out f.safetensors cannot be written")
    assert "No space left" in done.stderr


@pytest.mark.usefixtures("here", "loads")
def test_nothing_is_left_out() -> None:
    for name in ("image", "boxes", "text", "out"):
        words = question()
        at = words.index(f"--{name}")
        done = trace(*words[:at], *words[at + 2 :])
        assert done.exit_code == 2 and f"'--{name}'" in done.stderr


def test_an_image_of_any_mode(run: Run, released: FO1, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "load_model", lambda _: released)
    Image.new("LA", (64, 48), (90, 200)).save("grey.png")
    Path("boxes.json").write_text("[[0, 0, 64, 48]]")
    assert run("trace", *question(image="grey.png")).exit_code == 0

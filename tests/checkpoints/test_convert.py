from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from typer.testing import CliRunner

from checkpoints.mini import CONFIG, GOLDEN, GOLDEN_MODEL, IDS, tensors, write_released
from fo1.checkpoints.attached import load_attached_parts
from fo1.checkpoints.config import kind_of
from fo1.checkpoints.convert import KEPT, convert
from fo1.checkpoints.released import load_parts
from fo1.checkpoints.renaming import released_to_ours
from fo1.checkpoints.shards import Shards
from fo1.cli.main import app
from fo1.errors import CheckpointError


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_released(tmp_path_factory.mktemp("models") / "released", shards=2)


@pytest.fixture(scope="module")
def native(released: Path) -> Path:
    folder = released.parent / "native"
    assert convert(released, folder) == "native"
    return folder


@pytest.fixture
def copy(native: Path, tmp_path: Path) -> Path:
    """A native folder to change."""
    return Path(shutil.copytree(native, tmp_path / "copy"))


def same_tensors(one: Path, other: Path) -> bool:
    first, second = Shards.of_folder(one), Shards.of_folder(other)
    return first.keys() == second.keys() and all(
        first[key].dtype == second[key].dtype and torch.equal(first.load(key), second.load(key))
        for key in first
    )


def test_there_and_back_is_bit_identical(released: Path, native: Path, tmp_path: Path) -> None:
    back = tmp_path / "deep" / "back"
    assert convert(native, back, "released") == "released"
    assert same_tensors(released, back)
    for file in released.iterdir():
        if file.suffix == ".txt":
            assert (back / file.name).read_bytes() == file.read_bytes()
        if file.suffix == ".json" and "index" not in file.name:
            assert json.loads((back / file.name).read_text()) == json.loads(file.read_text())


def test_every_type_of_number_is_kept(tmp_path: Path) -> None:
    state = tensors()
    state["model.norm.weight"] = state["model.norm.weight"].float() * 1.0001
    state["model.mm_projector_aux.0.bias"] = state["model.mm_projector_aux.0.bias"].half()
    source = write_released(tmp_path / "a", state=state)
    convert(source, tmp_path / "b")
    convert(tmp_path / "b", tmp_path / "c")
    assert same_tensors(source, tmp_path / "c")


def test_both_formats_load_to_the_same_parts(released: Path, native: Path) -> None:
    a, b = load_parts(released, torch.bfloat16), load_attached_parts(native, torch.bfloat16)
    assert a.config == b.config
    assert a.auxiliary is not None and b.auxiliary is not None
    for one, other in ((a.base, b.base), (a.auxiliary, b.auxiliary), (a.encoder, b.encoder)):
        first = dict([*one.named_parameters(), *one.named_buffers()])
        second = dict([*other.named_parameters(), *other.named_buffers()])
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert value.dtype == second[key].dtype and torch.equal(value, second[key]), key
    assert b.splice == {}
    assert b.processor.tokenizer.convert_tokens_to_ids("<region99>") == IDS["<region99>"]
    assert b.processor.image_processor.size == a.processor.image_processor.size


def test_the_native_base_is_a_plain_hugging_face_folder(native: Path, tmp_path: Path) -> None:
    base, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        native / "base", dtype="auto", output_loading_info=True
    )
    assert not any(report.values())
    assert base.dtype == torch.bfloat16
    for key, value in tensors().items():
        part, ours = released_to_ours(key)
        if part == "base":
            assert torch.equal(base.get_parameter(ours), value)
    base.save_pretrained(tmp_path)
    assert Shards.of_folder(tmp_path).keys() == Shards.of_folder(native / "base").keys()
    assert len(AutoTokenizer.from_pretrained(native / "base")) == 256 + len(IDS)
    AutoImageProcessor.from_pretrained(native / "base", backend="pil")


def test_a_native_folder_that_never_was_released(copy: Path, tmp_path: Path, released: Path) -> None:
    (copy / KEPT).unlink()
    convert(copy, tmp_path / "made")
    assert same_tensors(released, tmp_path / "made")
    made = json.loads((tmp_path / "made" / "config.json").read_text())
    ours = {"mm_vision_tower", "mm_vision_tower_aux", "rotary_type", "transformers_version"}
    assert {key: made[key] for key in CONFIG if key not in ours} == {
        key: value for key, value in CONFIG.items() if key not in ours
    }
    assert load_parts(tmp_path / "made", torch.float32).config == load_parts(released, torch.float32).config


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Changes `config.json` of a native folder."""

    def apply(folder: Path) -> None:
        values = json.loads((folder / "config.json").read_text())
        change(values)
        (folder / "config.json").write_text(json.dumps(values))

    return apply


def drop_encoder_tensor(folder: Path) -> None:
    state = load_file(folder / "encoder.safetensors")
    del state["connector.mlp.1.bias"]
    save_file(state, folder / "encoder.safetensors")


def forget_kept(folder: Path) -> None:
    (folder / KEPT).unlink()
    edit(lambda v: v["chat"].update(system="Be brief."))(folder)


def edit_base(folder: Path) -> None:
    values = json.loads((folder / "base" / "config.json").read_text())
    values["text_config"]["rms_norm_eps"] = 1e-5
    (folder / "base" / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(lambda v: v.update(family="qwen3_vl")), "its base is a qwen3_vl, not a qwen2_5_vl"),
        (edit(lambda v: v.update(auxiliary={"kind": "nanodet"})), "encoder is nanodet, not a DaViT"),
        (edit(lambda v: v["auxiliary"].update(max_side=512)), "has auxiliary that .* says otherwise"),
        (edit(lambda v: v["vocabulary"].update(kind="dynamic")), "its region tokens are not the base's own"),
        (lambda f: save_file({"x": torch.ones(1)}, f / "splice.safetensors"), "are not the base's own"),
        (edit(lambda v: v.update(base="Qwen/Qwen2.5-VL")), "does not hold its base .Qwen/Qwen2.5-VL"),
        (edit(lambda v: v["regions"].update(bins=9)), "has regions that .*config.json says otherwise"),
        (edit_base, "has text_config.rms_norm_eps that .* says otherwise; remove it"),
        (forget_kept, "has chat that the released format would lose: it has no words for them"),
        (edit(lambda v: v.update(format="other")), "does not say .format.: .fo1."),
        (drop_encoder_tensor, "encoder.safetensors does not fit its config: missing connector.mlp.1.bias"),
        (lambda f: (f / "auxiliary.safetensors").unlink(), "has no auxiliary.safetensors"),
        (lambda f: (f / "base" / "model.safetensors").unlink(), "has no model.safetensors"),
        (
            lambda f: (f / "base" / "config.json").unlink(),
            "base is not a model folder: it has no config.json",
        ),
        (lambda f: (f / "base" / "config.json").write_text("{"), "is not valid JSON"),
    ],
)
def test_what_the_released_format_cannot_hold(
    copy: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    change(copy)
    with pytest.raises(CheckpointError, match=message):
        convert(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_spelt_out_defaults_are_no_difference(copy: Path, tmp_path: Path, released: Path) -> None:
    edit(lambda v: v["auxiliary"].update(window=12, max_side=2048))(copy)
    convert(copy, tmp_path / "out")
    assert same_tensors(released, tmp_path / "out")


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    source = write_released(tmp_path / "source", shards=2)
    file = source / "model-00002-of-00002.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        convert(source, tmp_path / "out")
    state = tensors()
    del state["model.norm.weight"]
    with pytest.raises(CheckpointError, match="missing model.norm.weight"):
        convert(write_released(tmp_path / "source", state=state, shards=2), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_target_with_something_in_it_is_left_alone(released: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "kept.txt"):
        with pytest.raises(CheckpointError, match="exists and is not an empty folder"):
            convert(released, target)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    (tmp_path / "empty").mkdir()
    convert(released, tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").is_file()


def test_the_format_can_be_insisted_on(released: Path, native: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is in the released format already"):
        convert(released, tmp_path / "out", "released")
    with pytest.raises(CheckpointError, match="is in the native format already"):
        convert(native, tmp_path / "out", "native")


def test_the_command(released: Path, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["convert", *words], catch_exceptions=False)

    native, back = str(tmp_path / "n"), str(tmp_path / "r")
    assert run(str(released), native).stdout == f"{native} holds the model in the native format\n"
    assert run(native, back, "--to", "released").exit_code == 0
    assert (kind_of(Path(native)), kind_of(Path(back))) == ("attached", "released")
    done = run(str(released), native)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"fo1: error: {native} exists")
    assert run(str(tmp_path / "nothing"), back + "2").exit_code == 2
    assert run(str(released), back + "2", "--to", "gguf").exit_code == 2


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden recordings are not here")
def test_the_recorded_checkpoint_there_and_back(tmp_path: Path) -> None:
    convert(GOLDEN_MODEL, tmp_path / "native")
    convert(tmp_path / "native", tmp_path / "back")
    assert same_tensors(GOLDEN_MODEL, tmp_path / "back")
    for name in ("config.json", "tokenizer_config.json", "vocab.json"):
        there, back = GOLDEN_MODEL / name, tmp_path / "back" / name
        assert json.loads(there.read_text()) == json.loads(back.read_text())

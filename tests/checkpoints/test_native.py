from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fo1.checkpoints import low_rank
from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.fetching import base_folder
from fo1.checkpoints.native import (
    AUXILIARY,
    LEXICON,
    PLUGIN,
    PRIMARY,
    bundled,
    load_native,
    load_plugin,
    load_untrained,
    plugin_state,
    read_lexicon,
    save_plugin,
)
from fo1.encoders import names
from fo1.errors import CheckpointError
from fo1.model import RegionModel
from fo1.prompts.tasks import TASKS
from fo1.scoring import region_scores
from tiny import picture, region_model


def scrambled(model: RegionModel) -> RegionModel:
    """The model with other weights in everything a checkpoint stores."""
    torch.manual_seed(9)
    for tensor in plugin_state(model).values():
        tensor.data.normal_(0, 0.3)
    return model


def scores(model: RegionModel) -> Tensor:
    (encoded,) = model.encode([picture(0)], [None])
    return region_scores(model, encoded, TASKS["detect"], ["cup", "dog"])


@pytest.mark.parametrize("classes", [0, 4])
def test_round_trip_in_half_precision(tmp_path: Path, classes: int) -> None:
    trained, loaded = region_model(classes=classes), scrambled(region_model(classes=classes))
    assert not torch.allclose(scores(trained), scores(loaded), atol=0.01)
    save_plugin(trained, tmp_path)
    load_plugin(loaded, tmp_path)
    for key, value in plugin_state(trained).items():
        assert torch.equal(plugin_state(loaded)[key], value.half().float()), key
    torch.testing.assert_close(scores(loaded), scores(trained), atol=0.01, rtol=0)
    assert {tensor.dtype for tensor in load_file(tmp_path / PLUGIN).values()} == {torch.float16}


def test_low_rank_factors_are_merged(tmp_path: Path) -> None:
    trained, loaded = region_model(), region_model()
    low_rank.attach(trained.base.model, rank=2)
    for key, tensor in low_rank.factors(trained.base).items():
        if key.endswith(".up"):
            tensor.data.normal_(0, 0.1)
    assert not torch.allclose(scores(trained), scores(loaded), atol=0.01)
    save_plugin(trained, tmp_path)
    load_plugin(loaded, tmp_path)
    assert low_rank.factors(loaded.base) == {}
    torch.testing.assert_close(scores(loaded), scores(trained), atol=0.01, rtol=0)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    model = region_model()
    low_rank.attach(model.base.model, rank=2)
    save_plugin(model, folder)
    return folder / PLUGIN


FACTOR = "base.model.layers.1.mlp.down_proj"


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda s: s.pop("splice.input_rows"), ["missing splice.input_rows"]),
        (lambda s: s.pop("splice.pointer.phrase.weight"), ["missing splice.pointer.phrase.weight"]),
        (lambda s: s.update({"encoder.extra": torch.zeros(1)}), ["unexpected encoder.extra"]),
        (
            lambda s: s.update({"splice.pointer.key.bias": torch.zeros(3)}),
            [r"splice.pointer.key.bias is \(3,\), not \(16,\)"],
        ),
        (lambda s: s.pop(f"{FACTOR}.up"), [f"missing model.layers|{FACTOR}", "missing"]),
        (lambda s: s.update({f"{FACTOR}.up": torch.zeros(7, 2)}), [rf"{FACTOR}: \(7, 2\)"]),
        (
            lambda s: (s.pop("splice.input_rows"), s.update({"splice.new": torch.zeros(1)})),
            ["missing splice.input_rows; unexpected splice.new"],
        ),
    ],
)
def test_what_does_not_fit_is_listed(
    stored: Path, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], messages: list[str]
) -> None:
    state = load_file(stored)
    change(state)
    save_file(state, tmp_path / PLUGIN)
    model = region_model()
    before = {key: value.clone() for key, value in plugin_state(model).items()}
    for message in ["does not fit its config", *messages]:
        with pytest.raises(CheckpointError, match=message):
            load_plugin(model, tmp_path)
    assert all(torch.equal(value, before[key]) for key, value in plugin_state(model).items())


def test_a_truncated_or_missing_file(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"has no {PLUGIN}"):
        load_plugin(region_model(), tmp_path)
    for size in (0, 5, 1000, stored.stat().st_size - 10):
        (tmp_path / PLUGIN).write_bytes(stored.read_bytes()[:size])
        with pytest.raises(CheckpointError, match="truncated or damaged"):
            load_plugin(region_model(), tmp_path)


# With the real base and encoders

needs_base = pytest.mark.skipif(
    not (base_folder("smollm2-135m-instruct") / "model.safetensors").is_file(),
    reason="the base is not fetched",
)
SMOL = bundled().get("fo1-smol", Path("none"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An untrained model folder: encoders, a config with small trained parts, no plug-in yet."""
    for name in (AUXILIARY, PRIMARY):
        (tmp_path / name).symlink_to(SMOL / name)
    ModelConfig("untrained", hidden=16, pointer_rank=8).write(tmp_path)
    return tmp_path


@needs_base
def test_a_real_folder_loads(folder: Path) -> None:
    torch.manual_seed(0)
    model = load_untrained(folder, ModelConfig.read(folder), torch.float32)
    model.splice.input_rows.data.normal_(0, 0.1)
    save_plugin(model, folder)
    state = torch.get_rng_state()
    loaded, native = load_native(folder, torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn that would be replaced
    assert native.config.name == "untrained" and native.folder == folder
    assert torch.equal(loaded.splice.input_rows, model.splice.input_rows.half().float())
    assert {p.dtype for p in loaded.base.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in loaded.auxiliary.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in loaded.encoder.parameters()} == {torch.float32}
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert scores(loaded).isfinite().all()


@needs_base
def test_a_gallery_of_the_first_names_is_stored(folder: Path) -> None:
    sizes = {"gallery_names": 2, "gallery_width": 4, "gallery_examples": 3}
    ModelConfig("untrained", hidden=16, pointer_rank=8, **sizes).write(folder)  # type: ignore[arg-type]
    (folder / LEXICON).write_text("bun\nfan\nadded later\n")
    model = load_untrained(folder, ModelConfig.read(folder), torch.float32)
    gallery, evidence, lexicon = model.encoder.gallery, model.encoder.evidence, model.lexicon
    assert gallery is not None and evidence is not None and lexicon is not None
    assert gallery.examples.shape == (2, 3, 4) and evidence.sizes == [80, 1000, 2]
    assert lexicon.affinity[:2, 1080:].diagonal().tolist() == pytest.approx([1, 1])
    gallery.examples.normal_()
    save_plugin(model, folder)
    loaded, _ = load_native(folder, torch.bfloat16)
    torch.testing.assert_close(loaded.encoder.get_buffer("gallery.examples"), gallery.examples.half().float())


@needs_base
def test_classes_are_known_by_their_names_and_everyday_words(folder: Path) -> None:
    """A phrase is embedded as the names are, so that the same word is the same vector."""
    model = load_untrained(folder, ModelConfig.read(folder), torch.float32)
    evidence = model.encoder.evidence
    assert evidence is not None
    classes = names.coco() + names.imagenet()
    own = evidence.affinity(model.phrase_embeddings(classes))
    torch.testing.assert_close(own.diagonal(), torch.ones(1080))
    words, indices = zip(*names.everyday(), strict=True)
    aliased = evidence.affinity(model.phrase_embeddings(words))[range(len(words)), indices]
    torch.testing.assert_close(aliased, torch.ones(len(words)))
    (dog,) = evidence.affinity(model.phrase_embeddings(["dog"]))
    assert (dog > 0.99).sum() == 1 + 118 and dog[classes.index("teapot")] < 0.2


@needs_base
@pytest.mark.parametrize("name", [AUXILIARY, PRIMARY])
def test_an_encoder_that_is_missing_or_truncated(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_native(folder, torch.float32)
    with (SMOL / name).open("rb") as file:
        (folder / name).write_bytes(file.read(100_000))
    with pytest.raises(CheckpointError, match=name):
        load_native(folder, torch.float32)


@needs_base
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"detector_side": 100}, "multiple of 32, got 100"),
        ({"proposals": {"best": 3}}, "best"),
        ({"classifier_sides": (704, 256)}, "ascending"),
    ],
)
def test_a_config_that_makes_no_model(folder: Path, odd: dict[str, object], message: str) -> None:
    ModelConfig("odd", **odd).write(folder)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=message):
        load_native(folder, torch.float32)


def test_an_unknown_base(folder: Path) -> None:
    ModelConfig("odd", base="gpt-7").write(folder)
    with pytest.raises(CheckpointError, match="unknown base model 'gpt-7'; known: smollm2"):
        load_native(folder, torch.float32)


def test_bundled_models_have_a_config() -> None:
    assert bundled() and all((folder / "config.json").is_file() for folder in bundled().values())


def test_copies_are_independent(tmp_path: Path) -> None:
    save_plugin(region_model(), tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / PLUGIN, copy)
    first, second = region_model(), region_model()
    load_plugin(first, tmp_path)
    load_plugin(second, copy)
    first.splice.input_rows.data.zero_()
    assert second.splice.input_rows.abs().sum() > 0


def test_the_lexicon_is_read_line_by_line(tmp_path: Path) -> None:
    assert read_lexicon(tmp_path) == ()
    (tmp_path / LEXICON).write_text("cup\n\n tea cup \ncup\nä\n", encoding="utf-8")
    assert read_lexicon(tmp_path) == ("cup", "tea cup", "ä")
    (tmp_path / LEXICON).write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_lexicon(tmp_path)


def test_rivalry_is_stored(tmp_path: Path) -> None:
    trained, loaded = (region_model(classes=4, names=["cup", "dog"]) for _ in range(2))
    trained.lexicon.rivalry.data.fill_(0.25)
    save_plugin(trained, tmp_path)
    load_plugin(loaded, tmp_path)
    assert loaded.lexicon.rivalry.item() == 0.25
    with pytest.raises(CheckpointError, match="unexpected lexicon.rivalry"):
        load_plugin(region_model(classes=4), tmp_path)

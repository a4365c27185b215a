"""The tiny checkpoint is the one that was recorded, and the files here are cuts of the recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fo1 import FO1
from golden.recordings import HERE, ORIGINALS, TINY, slices

originals = pytest.mark.skipif(not ORIGINALS.is_dir(), reason="the whole recordings are not here")
CUT = sorted([*(HERE / "cases").iterdir(), *(HERE / "real").iterdir()])
SMALL = 15 * 2**20


@originals
def test_it_is_the_recorded_checkpoint_bit_for_bit(released_folder: Path) -> None:
    recorded = ORIGINALS / "set_b" / TINY
    assert {file.name for file in released_folder.iterdir()} == {file.name for file in recorded.iterdir()}
    for file in recorded.iterdir():
        assert (released_folder / file.name).read_bytes() == file.read_bytes(), file.name


@originals
@pytest.mark.parametrize("file", CUT, ids=lambda file: file.stem)
def test_what_was_kept_is_what_was_recorded(file: Path) -> None:
    folder = ORIGINALS / "set_a" if file.parent.name == "real" else ORIGINALS / "set_b" / "cases"
    whole, kept = load_file(folder / file.name), load_file(file)
    assert kept
    for key, value in kept.items():
        name, bracket, _ = key.partition("[")
        if key in whole:
            assert torch.equal(value, whole[key]), key
        elif bracket:
            assert torch.equal(value, whole[name][slices(key.removeprefix(name))]), key
        else:
            all_of_it = whole[key.removesuffix(".sum_abssum")].double()
            sums = [float(all_of_it.sum()), float(all_of_it.abs().sum())]
            assert value.tolist() == pytest.approx(sums)


def test_the_files_stay_small() -> None:
    assert sum(file.stat().st_size for file in HERE.rglob("*") if file.is_file()) < SMALL


def test_the_kind_of_model_is_what_the_config_says(released: FO1) -> None:
    """The fixture's folder is called `checkpoint`."""
    model = released.model
    assert (model.family.model_types, model.capacity) == (("qwen2_5_vl",), 100)
    assert model.auxiliary.channels == (16, 32, 64, 128)
    assert model.stop_ids == (151645, 151643)

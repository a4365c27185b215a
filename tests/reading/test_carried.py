"""A native checkpoint carries its reader."""

from __future__ import annotations

from pathlib import Path

from fo1.checkpoints.config import ModelConfig
from fo1.checkpoints.native import AUXILIARY, PRIMARY, Native, save_native
from fo1.reading.reader import FINDER, RECOGNISER, Reader
from tiny import region_model


def test_a_saved_model_keeps_its_reader(tmp_path: Path) -> None:
    for name in (AUXILIARY, PRIMARY, FINDER, RECOGNISER):
        (tmp_path / name).write_text(name)
    model = region_model()
    for read in (False, True):
        model.reader = Reader.of(tmp_path) if read else None
        folder = tmp_path / str(read)
        folder.mkdir()
        save_native(model, Native(tmp_path, ModelConfig("carried"), {}), folder)
        assert (Reader.of(folder) is not None) is read
    assert (folder / FINDER).read_text() == FINDER and (folder / RECOGNISER).read_text() == RECOGNISER

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fo1.checkpoints.config import ModelConfig
from fo1.errors import CheckpointError


def test_round_trip(tmp_path: Path) -> None:
    config = ModelConfig(
        "橙子", capacity=50, classifier_sides=(128, 256), threshold=0.4, proposals={"top_k": 9}
    )
    config.write(tmp_path)
    assert ModelConfig.read(tmp_path) == config


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format": "fo1", "name": "m", "threshold": 1}')
    assert ModelConfig.read(tmp_path) == ModelConfig("m", threshold=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a model folder: it has no config.json"),
        ("{", "is not valid JSON"),
        ("", "is not valid JSON"),
        ("\udcff", "is not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"name": "m"}', 'does not say "format": "fo1"'),
        ('{"format": "omchat", "name": "m"}', 'does not say "format": "fo1"'),
        ('{"format": "fo1"}', "has no name"),
        ('{"format": "fo1", "name": "m", "colour": 3, "age": 1}', r"unknown keys \['age', 'colour'\]"),
        ('{"format": "fo1", "name": "m", "capacity": "many"}', "wrong kind: capacity = 'many'"),
        ('{"format": "fo1", "name": "m", "capacity": 1.5}', "wrong kind: capacity = 1.5"),
        ('{"format": "fo1", "name": "m", "threshold": null}', "wrong kind: threshold = None"),
        ('{"format": "fo1", "name": "m", "dropout": true}', "wrong kind: dropout = True"),
        ('{"format": "fo1", "name": "m", "classifier_sides": 256}', "wrong kind: classifier_sides = 256"),
        ('{"format": "fo1", "name": 3}', "wrong kind: name = 3"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=message) as caught:
        ModelConfig.read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_config_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CheckpointError, match="cannot be read"):
        ModelConfig.read(tmp_path)


def test_the_file_says_its_format_first(tmp_path: Path) -> None:
    ModelConfig("m").write(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert next(iter(values.items())) == ("format", "fo1")

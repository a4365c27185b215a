"""Families are found by the base's model type."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from fo1.errors import Fo1Error
from fo1.vlm.known import BUILT_IN, FAMILIES, family_for


def base(model_type: str) -> SimpleNamespace:
    return SimpleNamespace(config=SimpleNamespace(model_type=model_type))


def test_every_family_serves_its_model_types() -> None:
    for family in BUILT_IN:
        assert family.model_types
        for model_type in family.model_types:
            assert type(family_for(base(model_type), None)) is family


def test_an_unknown_model_type_is_told_what_is_known_and_where_to_read() -> None:
    with pytest.raises(Fo1Error, match="'bert'.*qwen2_5_vl.*docs/families.md"):
        family_for(base("bert"), None)


def test_a_registered_family_is_found() -> None:
    assert "qwen2_5_vl" in FAMILIES.names()


def test_no_model_is_imported_before_a_base_is_loaded() -> None:
    code = (
        "import sys, fo1.vlm.known; print(*(m for m in sys.modules if '.models.' in m and '.modeling_' in m))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The table of the auto classes names models without importing them.
    assert set(run.stdout.split()) <= {"transformers.models.auto.modeling_auto"}

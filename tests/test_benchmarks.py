"""Scripts in benchmarks/ are run by hand; here they are only imported, so that they follow what they use."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).resolve().parent.parent / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_imports(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(script.parent))  # some share others' parts
    defined = runpy.run_path(str(script))
    assert any(getattr(value, "__module__", None) == defined["__name__"] for value in defined.values())

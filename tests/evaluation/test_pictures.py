from __future__ import annotations

from pathlib import Path

import pytest

from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.pictures import located


def test_the_first_folder_that_has_it(tmp_path: Path) -> None:
    for name in ("a.jpg", "val/a.jpg", "val/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = located(["a.jpg", "b.jpg", "c.jpg"], tmp_path, (".", "val"), tmp_path / "x.json")
    assert found == [tmp_path / "a.jpg", tmp_path / "val" / "b.jpg", tmp_path / "c.jpg"]


def test_not_one_of_them_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        BenchmarkError, match=r"x\.json: none of its 2 images is in .*val.*the first as a\.jpg"
    ):
        located(["a.jpg", "b.jpg", "a.jpg"], tmp_path, ("val",), tmp_path / "x.json")

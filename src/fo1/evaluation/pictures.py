"""Where the images of a benchmark are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fo1.evaluation.benchmark import BenchmarkError


def located(names: Sequence[str], folder: Path, under: Sequence[str], annotations: Path) -> list[Path]:
    """The path of each image: below `folder` or the first of its folders `under` that has it ("." is itself).

    One that is missing gets the path where it should be, so that its sample fails and is listed.
    Raises `BenchmarkError` if not one of them is there: these are not the images of these annotations.
    """
    places = [[folder / where / name for where in under] for name in names]
    found = [next((path for path in paths if path.is_file()), None) for paths in places]
    if names and not any(found):
        raise BenchmarkError(
            f"{annotations}: none of its {len(set(names))} images is in {folder}; expected them in "
            f"{' or '.join(str(folder / where) for where in under)}, the first as {places[0][0].name}"
        )
    return [path or paths[0] for path, paths in zip(found, places, strict=True)]

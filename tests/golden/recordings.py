"""Recordings of the official code, cut to what is compared (`scripts/trim_golden.py`), and how to compare.

Names of tensors are the recorded ones. `name[..., ::8]` is every eighth number of `name`; beside it stand the
sum and the sum of magnitudes of all of it.
"""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from golden.formula import weight

HERE = Path(__file__).parent
ORIGINALS = HERE.parents[2] / "shared" / "golden"
"""All of the recordings; they lie beside the repository, and only some checks of the cut ones need them."""
TINY = "VLM-FO1_Qwen2.5-VL-tiny-golden"


@dataclass(frozen=True)
class Case:
    """What one recorded run was asked, and what it said.

    boxes: as they were given, in the image's pixels. before: text before the image. aspect: what the config
    said of the auxiliary input. maps_as: the case that holds what the image alone decides.
    """

    name: str
    image: str
    question: str
    boxes: list[list[float]]
    system: str | None
    before: str
    aspect: str
    maps_as: str
    answer: str

    @property
    def picture(self) -> Path:
        return image_file(self.image)


def image_file(name: str) -> Path:
    return HERE / "images" / f"{name}.png"


def picture(name: str) -> Image.Image:
    return Image.open(image_file(name)).convert("RGB")


CASES = {
    name: Case(name, **said)
    for name, said in json.loads((HERE / "cases.json").read_text(encoding="utf-8")).items()
}
UNUSED_BOX = "c4b_s2_dummy_box"
"""In this case a region is encoded, but its prompt does not show it."""


@cache
def recorded(name: str) -> dict[str, Tensor]:
    """All tensors of a case, by name; of a batch or a preprocessing too."""
    tensors = load_file(HERE / "cases" / f"{name}.safetensors")
    if name in CASES and CASES[name].maps_as != name:
        whole = {key.partition("[")[0] for key in tensors}
        shared = recorded(CASES[name].maps_as)
        tensors |= {key: shared[key] for key in shared if of_image(key) and key not in whole}
    return tensors


def of_image(key: str) -> bool:
    return key.startswith(
        ("primary_pixel_values", "image_grid_thw", "aux_pixel_values", "vit_", "davit_", "fpn_")
    )


def prompts() -> list[dict[str, Any]]:
    """Messages, and the token ids or the error that the official code made of them."""
    return json.loads((HERE / "prompts.json").read_text(encoding="utf-8"))


def write_checkpoint(folder: Path) -> None:
    """The tiny checkpoint in the released format, its weights by the formula."""
    folder.mkdir(parents=True)
    for file in (HERE / "checkpoint").iterdir():
        if file.suffix == ".gz":
            (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        elif file.name != "shapes.json":
            shutil.copyfile(file, folder / file.name)
    shapes = json.loads((HERE / "checkpoint" / "shapes.json").read_text(encoding="utf-8"))
    weights = {key: weight(key, shape).bfloat16() for key, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def write_variant(source: Path, folder: Path, aspect: str) -> None:
    """The checkpoint again, with another `aux_image_aspect_ratio`; the weights are not copied."""
    folder.mkdir(parents=True)
    for file in source.iterdir():
        (folder / file.name).symlink_to(file)
    config = folder / "config.json"
    values = json.loads(config.read_text(encoding="utf-8")) | {"aux_image_aspect_ratio": aspect}
    config.unlink()
    config.write_text(json.dumps(values), encoding="utf-8")


def difference(actual: Tensor, want: dict[str, Tensor], name: str) -> float:
    """The largest difference between a tensor and its recording, which may be cut.

    Of a cut one, the sums must agree as well. A leading dimension of one is not told apart from none.
    """
    (key,) = (key for key in want if key == name or key.startswith(f"{name}["))
    expected, cut = want[key], key.removeprefix(name)
    actual = actual.float() if actual.is_floating_point() else actual
    if actual.ndim != expected.ndim:
        actual = actual[None] if actual.ndim < expected.ndim else actual[0]
    if cut:
        (sums,) = (want[key] for key in want if key.startswith(f"{name}.") and key.endswith("sum_abssum"))
        *shape, total, magnitude = sums.tolist()
        assert not shape or list(actual.shape) == shape
        assert float(actual.double().abs().sum()) == pytest.approx(magnitude, rel=1e-5)
        assert float(actual.double().sum()) == pytest.approx(total, abs=1e-5 * magnitude)
        actual = actual[slices(cut)]
    assert actual.shape == expected.shape, f"{name}: {tuple(actual.shape)}, recorded {tuple(expected.shape)}"
    return float((actual - expected).abs().max())


def slices(cut: str) -> tuple[Any, ...]:
    """`[:, ::4]` as an index."""
    steps = [part.strip() for part in cut.strip("[]").split(",")]
    return tuple(... if step == "..." else slice(None, None, int(step.strip(":") or 1)) for step in steps)


def has(want: dict[str, Tensor], name: str) -> bool:
    """Is `name` recorded, whole or cut?"""
    return any(key == name or key.startswith(f"{name}[") for key in want)


def close(actual: Tensor, want: dict[str, Tensor], name: str, tolerance: float) -> None:
    """A tensor is its recording, to within `tolerance` everywhere."""
    found = difference(actual, want, name)
    assert found <= tolerance, f"{name} differs by {found:.2e}, tolerance {tolerance:.0e}"


def same(actual: Tensor, want: dict[str, Tensor], name: str) -> None:
    """Whole numbers are the recorded ones."""
    expected = want[name].reshape(actual.shape)
    assert torch.equal(actual.long(), expected.long()), (
        f"{name}: {actual.tolist()}, recorded {expected.tolist()}"
    )

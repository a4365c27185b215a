"""The direction of imports: a module uses only what lies below it. This test is part of `make check`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

# From the ground up. A unit is a module or package directly below fo1; it may import itself and every layer
# under its own, not its neighbours. "fo1" is the package's own __init__. Adding a unit means placing it here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "fingerprint", "garbage", "hazards", "lock", "settings", "stopping"),
    ("types", "boxes", "device", "images", "registry", "detection", "masks"),
    ("colours", "duplicates", "formats", "tiles"),
    ("detections", "mask_formats"),
    ("drawing", "encoders", "outlined", "segmenting", "tracking"),
    ("reading",),
    ("proposals",),
    ("regions",),
    ("prompts",),
    ("grammar", "vlm"),
    ("model", "processors"),
    ("prefixes",),
    ("findings", "views", "mosaic", "forest", "decoding", "checkpoints", "stored"),
    ("rating", "records", "trace", "streaming"),
    ("reporting", "scoring"),
    ("ordering",),
    ("scene",),
    ("messages",),
    ("pipeline", "proposers"),
    ("opening", "saving"),
    ("loading",),
    ("attaching",),
    ("fo1",),
    ("bench", "data", "evaluation", "training", "labeling", "serving", "vllm"),
    ("cli",),
    ("__main__",),
)
LEVEL = {unit: level for level, layer in enumerate(LAYERS) for unit in layer}
TOP = LEVEL["fo1"]

# They bring CUDA builds or compilers, or fail beside the CPU torch.
UNWANTED = {"torchvision", "timm", "flash_attn", "cv2", "tensorflow"}


def unit_of(path: Path) -> str:
    first = path.relative_to(SOURCE / "fo1").parts[0]
    return "fo1" if first == "__init__.py" else first.removesuffix(".py")


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, at any depth; TYPE_CHECKING imports count as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join((*base, *(node.module.split(".") if node.module else ())))
            # `from fo1 import formats` imports the unit formats.
            yield from (
                (node.lineno, f"{name}.{alias.name}" if name == "fo1" else name) for alias in node.names
            )


def imported_unit(name: str) -> str | None:
    """The unit of fo1 behind a dotted name; None for other packages, `fo1` for names of its __init__."""
    first, *rest = name.split(".")
    if first != "fo1":
        return None
    is_unit = rest and ((SOURCE / "fo1" / rest[0]).is_dir() or (SOURCE / "fo1" / f"{rest[0]}.py").is_file())
    return rest[0] if is_unit else "fo1"


def complaints(unit: str, tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    for line, name in imports(tree, package):
        if name.split(".")[0] in UNWANTED:
            yield f"line {line}: {unit} imports {name}"
        other = imported_unit(name)
        if other is None or other == unit:
            continue
        # The users of the core stand side by side and may use each other.
        peers = LEVEL[other] == LEVEL[unit] > TOP
        if LEVEL[other] >= LEVEL[unit] and not peers:
            yield f"line {line}: {unit} (layer {LEVEL[unit]}) imports {name} (layer {LEVEL[other]})"


MODULES = sorted((SOURCE / "fo1").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    unit = unit_of(path)
    assert unit in LEVEL, f"place {unit!r} in LAYERS"
    package = path.relative_to(SOURCE).parent.parts
    assert list(complaints(unit, ast.parse(path.read_text(encoding="utf-8")), package)) == []


@pytest.mark.parametrize(
    ("unit", "code", "wrong"),
    [
        ("boxes", "from fo1.errors import Fo1Error", False),
        ("boxes", "import fo1.images", True),
        ("formats", "from fo1 import detections", True),
        ("detections", "from fo1 import formats", False),
        ("encoders", "from fo1.encoders.encoder import VisionEncoder", False),
        ("encoders", "from .encoder import VisionEncoder", False),
        ("encoders", "from ..proposals import proposer", True),
        ("proposals", "from ..encoders import encoder", False),
        ("types", "if TYPE_CHECKING:\n    from fo1.encoders.encoder import VisionEncoder", True),
        ("types", "def f():\n    from fo1.encoders import encoder", True),
        ("encoders", "import fo1", True),
        ("cli", "import fo1", False),
        ("evaluation", "from fo1.training import x", False),
        ("evaluation", "from fo1.cli import x", True),
        ("encoders", "from torchvision.ops import roi_align", True),
        ("encoders", "import torch.nn", False),
    ],
)
def test_the_rule_itself(unit: str, code: str, wrong: bool) -> None:
    assert bool(list(complaints(unit, ast.parse(code), ("fo1", unit)))) is wrong

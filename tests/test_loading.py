"""What loading brings in, and weights of eight bits, by the way one asks for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fo1
from attachable import CASES, attached
from fo1.checkpoints.fetching import base_folder
from fo1.checkpoints.int8 import Int8Linear
from fo1.errors import CheckpointError
from tiny import picture

HEAVY = {"transformers.modeling_utils", "torch._dynamo", "scipy.optimize"}


@pytest.mark.skipif(
    not (base_folder("smollm2-135m-instruct") / "model.safetensors").is_file(),
    reason="the base is not fetched",
)
def test_the_bundled_model_needs_no_models_of_transformers() -> None:
    code = f"""if True:
        import sys, fo1
        from PIL import Image
        scene = fo1.load("fo1-smol", device="cpu").look(Image.new("RGB", (96, 64)), [[8, 8, 60, 50]])
        scene.detect("cat, dog"), scene.find("the cat"), scene.count("cat"), scene.ask("What is it?", 4)
        print(*({HEAVY} & sys.modules.keys()))
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stdout.split() == [], run.stdout + run.stderr


@pytest.mark.parametrize("name", ["qwen3_vl", "smolvlm"])
def test_int8_is_the_language_model_only_and_is_not_saved(name: str, tmp_path: Path) -> None:
    fo1.save(attached(CASES[name].build(), seed=2), tmp_path / "saved")
    model = fo1.load(tmp_path / "saved", device="cpu", dtype="int8")
    quantised = [key for key, part in model.model.named_modules() if isinstance(part, Int8Linear)]
    assert quantised and not [key for key in quantised if "vision" in key or "visual" in key]
    scene = model.look(picture(size=(120, 80)), [[10, 10, 80, 60]])
    assert scene.detect("cat").confidence["cat"].shape == (1,)
    with pytest.raises(CheckpointError, match="loaded as int8"):
        fo1.save(model, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_int8_needs_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="int8 is for the CPU, not for meta"):
        fo1.load(tmp_path, device="meta", dtype="int8")


def test_unknown_dtypes_are_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="unknown dtype 'int4'; known: .*float16, int8"):
        fo1.load(tmp_path, device="cpu", dtype="int4")

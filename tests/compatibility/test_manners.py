"""What the official code gets wrong, done right: good manners."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fo1
from compatibility.prompts import (
    BOXES,
    SIZE,
    grounded,
)
from fo1 import FO1, Message, Scene
from scripted import saying
from tiny import picture


def functions_of(module: nn.Module) -> Iterator[tuple[type, str, FunctionType]]:
    """Methods of all classes that a model's parts are of."""
    classes = {base for part in module.modules() for base in type(part).__mro__}
    for one in classes:
        for name, value in vars(one).items():
            plain = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(plain, FunctionType):
                yield one, name, plain


def test_no_class_is_patched(released: FO1) -> None:
    own = str(Path(fo1.__file__).parent)
    base = released.model.base
    checked = 0
    for one, name, function in functions_of(base):
        if one.__module__.startswith(("torch", "transformers")):
            assert not function.__code__.co_filename.startswith(own), f"{one.__name__}.{name}"
            checked += 1
    assert checked > 300
    for part in base.modules():
        assert not {"forward", "__call__", "generate"} & set(vars(part)), type(part)


def state() -> dict[str, Any]:
    """What a library could change behind a program's back."""
    import logging
    import os

    from transformers.utils import logging as transformers_logging

    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()),
        "environment": dict(os.environ),
        "log": (logging.root.level, list(logging.root.handlers), transformers_logging.get_verbosity()),
        "warnings": list(warnings.filters),
        "path": list(sys.path),
    }


def test_nothing_is_printed_and_nothing_global_changes(
    released_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = state()
    model = fo1.load(released_folder, device="cpu", dtype="float32")
    scene = model.look(picture(0, SIZE), BOXES)
    with saying(model.model, grounded("cup", 1)):
        assert len(scene.detect("cup")) == 1
    scene.ask("What?", 2)
    scene.ask("What?", 2, beams=2, repetition_penalty=1.2)
    model.chat([Message("user", "hello")], 2)
    assert state() == before
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert "flash_attn" not in sys.modules
    assert {tensor.device.type for tensor in model.model.parameters()} == {"cpu"}


def test_two_models_do_not_disturb_each_other(released: FO1, released_folder: Path, scene: Scene) -> None:
    before = scene.ask("What is <region1>?", 6)
    other = fo1.load(released_folder, device="cpu", dtype="float32")
    for parameter in other.model.encoder.connector.parameters():
        parameter.data.mul_(-1)
    strange = other.look(picture(0, SIZE), BOXES)
    said = strange.ask("What is <region1>?", 6)
    assert said != before
    with saying(other.model, grounded("cup", 1)):
        assert scene.ask("What is <region1>?", 6) == before
        assert len(strange.detect("cup")) == 1
    with other.model.bound([strange.encoded]):
        assert scene.ask("What is <region1>?", 6) == before
    assert strange.ask("What is <region1>?", 6) == said


def test_threads_take_turns(released: FO1, scene: Scene, bare: Scene) -> None:
    pictures = picture(5, (100, 40)), picture(6, (40, 100))

    def work(mine: Scene, image: Image.Image, said: list[Any]) -> None:
        for _ in range(3):
            said.append(mine.ask("What is <region1>?", 5))
            said.append(released.look(image, [[0, 0, 30, 30]]).encoded.embeddings.tolist())
            said.append(released.chat([Message("user", "hello")], 3))

    pairs = list(zip((scene, bare), pictures, strict=True))
    expected: list[list[Any]] = [[], []]
    for (mine, image), said in zip(pairs, expected, strict=True):
        work(mine, image, said)
    found: list[list[Any]] = [[], []]
    threads = [
        threading.Thread(target=work, args=(*pair, said)) for pair, said in zip(pairs, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected

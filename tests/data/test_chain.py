"""The example of docs/data.md, from files to prompt trees, runs and gives the same every time."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fo1.data.reading import write
from fo1.data.record import ImageRef, Record, Turn
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary
from fo1.types import Regions
from tiny import byte_tokenizer

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
SIZE = (200, 100)
LABELS = ("cup", "dog", "car", "bus", "cow")


def example() -> str:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (block,) = [block for block in blocks if "Mixture(" in block]
    return block


def detection(number: int) -> Record:
    label = LABELS[number % 5]
    asked = (
        Turn("user", f"Please detect {label} in this image."),
        Turn("assistant", f"<ground>{label}</ground><objects><region0><region1></objects>"),
    )
    boxes = np.array([[0, 0, 40, 40], [100, 20, 160, 90]])
    return Record(ImageRef(f"{number}.jpg", SIZE), boxes, (asked,), labels=(label, label))


def general(number: int) -> Record:
    talk = (Turn("user", "What is it?"), Turn("assistant", f"Number {number}."))
    return Record(ImageRef(f"g{number}.jpg", SIZE), np.zeros((0, 4)), (talk,))


def run(code: str) -> dict[str, Any]:
    tokenizer = byte_tokenizer()
    prompts = PromptBuilder(tokenizer, RegionVocabulary.extend(tokenizer, 100), ChatFormat())
    names = {
        "model": SimpleNamespace(prompts=prompts),
        "proposals": Regions.of([[1, 1, 41, 41], [50, 50, 90, 90], [5, 60, 30, 90]], SIZE),
        "image_ids": [prompts.vocabulary.image_slot] * 3,
    }
    exec(compile(code, PAGE.name, "exec"), names)
    return names


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(map(detection, range(5)), "coco.jsonl")
    write(map(general, range(5)), "llava.jsonl")
    code = example()
    # Everything after the draw once more for each of the next ones.
    setup, loop = code.split("draw = next(stream)\n")
    one, other = run(code), run(code)
    ids = [tree.tree.ids for tree in one["exercises"]]
    assert ids == [tree.tree.ids for tree in other["exercises"]] and ids
    sources = set()
    for _ in range(40):
        one["draw"] = next(one["stream"])
        exec(loop, one)
        sources.add(one["draw"].source)
        labels = np.array([word.token for made in one["exercises"] for word in made.words])
        said = one["model"].prompts.tokenizer.decode(labels[labels >= 0])
        if one["draw"].source == "general":
            assert re.fullmatch(r"Number \d\.<\|im_end\|>", said)
        else:
            # Both objects are named, what is denied is not the label that is there.
            label = one["draw"].record.labels[0]
            assert re.search(rf"<ground>{label}</ground><objects>(<region\d>){{2,}}</objects>", said)
            assert f"{label}</ground><objects>None" not in said and "None" in said
    assert sources == {"coco", "general"} and "stream = " in setup

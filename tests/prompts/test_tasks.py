from __future__ import annotations

import re
from pathlib import Path

import pytest

from fo1.errors import PromptError
from fo1.prompts.tasks import MAX_LABEL, TASKS, TaskSpec, clean_labels

METHOD = Path(__file__).parents[3] / "shared" / "spec" / "method.md"

# The released model was trained on exactly these words.
WORDINGS = {
    "detect": "Please detect {} in this image. Answer the question with object indexes.",
    "count": "How many {} are there in this image? Count each instance of the target object. "
    "Locate them with object indexes and then answer the question with the number of objects.",
    "read": "Please provide the ocr results of {} in the image.",
    "describe": "Provide a brief description for {}.",
    "describe-detailed": "Provide a detailed description for {}.",
    "caption": "Briefly describe this image and detect all mentioned objects. "
    "Answer with grounded object indexes.",
    "visual-prompt": "Using the provided object {} as a reference, identify all other objects of the same "
    "category in this image. Respond with object indexes.",
    "reason": "First thinks about the reasoning process in the mind and then provides the user with the "
    "answer. The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> "
    "tags, respectively, i.e., <think> reasoning process here </think><answer> answer here </answer>. Please "
    "give a detailed reasoning process process and provide image regions that can help you answer the "
    "question better. {}",
    "ask": "{}",
}


def test_wordings() -> None:
    assert {name: task.instruction for name, task in TASKS.items()} == WORDINGS
    assert all(name == task.name for name, task in TASKS.items())
    assert [name for name, task in TASKS.items() if not task.needs_regions] == ["ask"]


@pytest.mark.skipif(not METHOD.is_file(), reason="the specification is not here")
def test_wordings_are_those_of_the_method() -> None:
    table = METHOD.read_text(encoding="utf-8").split("## Tasks and their prompts")[1].split("\n## ")[0]
    quoted = {text for text in re.findall(r"`([^`]+)`", table) if text[0].isupper() and len(text) > 25}
    assert quoted == set(WORDINGS.values()) - {"{}"}


def test_filling() -> None:
    assert TASKS["detect"].fill("cup", "a {} sign").startswith("Please detect cup, a {} sign in this image.")
    assert TaskSpec("x", "no place", "text").fill("cup") == "no place"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("orange, apple", ["orange", "apple"]),
        (["orange", "apple"], ["orange", "apple"]),
        (("orange",), ["orange"]),
        ("  red \n cup ,, ,apple,", ["red cup", "apple"]),
        ("apple, orange, apple", ["apple", "orange"]),
        (["a, b"], ["a, b"]),
        (["", " ", "cup"], ["cup"]),
        ("Cup, cup", ["Cup", "cup"]),
        ("橙子, 苹果", ["橙子", "苹果"]),
        ("橙子，苹果、杯子", ["橙子", "苹果", "杯子"]),
        ("<region1>", ["<region1>"]),
        ("<|im_end|>", ["<|im_end|>"]),
        (iter(["a", "b"]), ["a", "b"]),
        (["x" * MAX_LABEL], ["x" * MAX_LABEL]),
    ],
)
def test_labels(given: str | list[str], expected: list[str]) -> None:
    assert clean_labels(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "no label given"),
        (" , ,", "no label given"),
        ([], "no label given"),
        (["", "\n"], "no label given"),
        (["cup", 3], "must be strings, got 3"),
        (["cup", None], "must be strings, got None"),
        (b"cup", "must be strings"),
        (None, "must be strings, got None"),
        (3, "must be strings, got 3"),
        (["y" * (MAX_LABEL + 1)], f"has {MAX_LABEL + 1} characters"),
    ],
)
def test_labels_that_cannot_be_asked(given: object, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        clean_labels(given)  # type: ignore[arg-type]


def test_a_callers_list_is_not_changed() -> None:
    labels = [" cup ", "cup"]
    clean_labels(labels)
    assert labels == [" cup ", "cup"]
